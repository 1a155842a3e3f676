// Decoded blocks, by the physical address of their code, and which frames hold code, so that writes to code are noticed.

internal import ProcessorCore
internal import SNPArchitecture

/// Where code is fetched from.
struct CodeFrame: Hashable {
    var pfn: PFN
    /// Of the 2 MiB region of the RMP that the frame is in.
    var generation: UInt32
}

/// What must be the same for the jump cache to hold: it is asked by RIP alone.
struct JumpKey: Hashable {
    var mode: BlockMode
    var base: UInt64
}

/// The blocks of one processor.
///
/// Operations stay where they are until the whole cache is emptied: a block that was dropped may still be running.
@safe final class BlockCache {
    private struct Key: Hashable {
        var address: UInt64
        var mode: BlockMode
    }
    @safe @exclusivity(unchecked) private var blocks: [Key: UnsafeMutablePointer<Operation>] = unsafe [:]
    /// A frame with code: its blocks, and the generation of its RMP region when they were decoded.
    private struct Frame {
        var keys: [Key] = []
        var generation: UInt32
    }
    @safe @exclusivity(unchecked) private var frames: [UInt64: Frame] = [:]
    /// One bit for each remainder of the numbers of frames with code: most frames are known to have none without a look-up.
    @safe @exclusivity(unchecked) private var maybeCode = InlineArray<64, UInt64>(repeating: 0)
    private var chunks: [UnsafeMutableBufferPointer<Operation>] = unsafe []
    private var used = 0
    /// The instructions that operations of the run loop refer to.
    @safe @exclusivity(unchecked) private(set) var instructions: [Instruction] = []
    /// Where the operations of a single step are put.
    private let stepping: UnsafeMutablePointer<Operation>

    private static let chunkCount = 1 << 14
    private static let maximumChunks = 64
    static let steppingCount = 64

    init() {
        unsafe stepping = .allocate(capacity: Self.steppingCount)
    }

    deinit {
        release()
        unsafe stepping.deallocate()
    }

    /// The block at a physical address.
    func block(_ address: UInt64, _ mode: BlockMode) -> UnsafeMutablePointer<Operation>? {
        unsafe blocks[Key(address: address, mode: mode)]
    }

    /// Whether a frame holds decoded code.
    func holdsCode(_ pfn: PFN) -> Bool {
        maybeCode[Int(pfn.rawValue >> 6 & 63)] >> (pfn.rawValue & 63) & 1 != 0 && frames[pfn.rawValue] != nil
    }

    /// The number that the next instruction will have.
    var nextInstruction: Int { instructions.count }

    /// Whether a frame's blocks were decoded before its RMP region changed: the page may have been another's meanwhile.
    func isOutdated(_ frame: CodeFrame) -> Bool {
        frames[frame.pfn.rawValue].map { $0.generation != frame.generation } ?? false
    }

    /// Keeps a block's operations. With an address it is found again; without, only by whoever holds the result.
    func add(
        _ builder: BlockBuilder, at address: UInt64?, in places: [CodeFrame]
    ) -> UnsafeMutablePointer<Operation> {
        let count = builder.operations.count
        if unsafe chunks.isEmpty || used + count > Self.chunkCount {
            unsafe chunks.append(.allocate(capacity: Self.chunkCount))
            used = 0
            isFull = unsafe chunks.count > Self.maximumChunks
        }
        let place = unsafe chunks[chunks.count - 1].baseAddress.unsafelyUnwrapped + used
        for (index, operation) in builder.operations.enumerated() { unsafe (place + index).initialize(to: operation) }
        used += count
        instructions += builder.instructions
        if let address {
            let key = Key(address: address, mode: builder.mode)
            unsafe blocks[key] = place
            if let frame = places.first {
                frames[frame.pfn.rawValue, default: Frame(generation: frame.generation)].keys.append(key)
            }
        }
        for frame in places { maybeCode[Int(frame.pfn.rawValue >> 6 & 63)] |= 1 << (frame.pfn.rawValue & 63) }
        for frame in places where frames[frame.pfn.rawValue] == nil {
            frames[frame.pfn.rawValue] = Frame(generation: frame.generation)
        }
        return unsafe place
    }

    /// Forgets the blocks of a frame; their operations stay.
    func drop(_ pfn: PFN) {
        guard let frame = frames.removeValue(forKey: pfn.rawValue) else { return }
        for key in frame.keys { unsafe blocks[key] = nil }
    }

    /// Whether so much has been decoded that the cache should be emptied at the next opportunity.
    @safe @exclusivity(unchecked) private(set) var isFull = false

    /// Forgets everything. Nothing may be running.
    func removeAll() {
        unsafe blocks.removeAll()
        frames.removeAll()
        maybeCode = InlineArray(repeating: 0)
        instructions.removeAll()
        release()
        used = 0
        isFull = false
    }

    private func release() {
        unsafe chunks.forEach { unsafe $0.deallocate() }
        unsafe chunks.removeAll()
    }

    /// Copies the rest of an instruction for a single step, with a stop behind it. Returns nil if it does not fit.
    func step(from operation: UnsafeMutablePointer<Operation>) -> UnsafeMutablePointer<Operation>? {
        var index = 0
        let start = unsafe operation.pointee.start
        let ordinal = unsafe operation.pointee.ordinal
        while unsafe (operation + index).pointee.start == start, unsafe (operation + index).pointee.ordinal == ordinal {
            guard index + 2 < Self.steppingCount else { return nil }
            var copy = unsafe (operation + index).pointee
            // Behind a single step anybody may look at the flags.
            if copy.code != 0, let loud = quietOperations.firstIndex(of: copy.code) { copy.become(UInt16(loud)) }
            unsafe (stepping + index).initialize(to: copy)
            index += 1
        }
        var stop = Operation(OperationCode.stop)
        stop.start = unsafe (operation + index).pointee.start
        stop.ordinal = ordinal
        unsafe (stepping + index).initialize(to: stop)
        return unsafe stepping
    }
}
