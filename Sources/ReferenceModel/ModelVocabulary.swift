// The words of the reference model: policies, results, pages of backing files, and failures made on purpose.

public import SNPArchitecture

/// Which of the two correct policies the model follows.
public enum ModelPolicy: String, Sendable, CaseIterable {
    /// The RMP changes with the attribute.
    case eager
    /// The RMP changes at the first private fault, and when the backing page is freed.
    case lazy
}

/// What an operation must answer. Error numbers are Linux's.
public enum ModelOutcome: Hashable, Sendable, CustomStringConvertible {
    /// It succeeds; for a fault: the guest goes on.
    case success
    /// The call fails with this error number.
    case errno(Int32)
    /// The guest's access becomes the VMM's affair, with this error number.
    case memoryFault(Int32)
    /// The guest's access is to a device.
    case mmio

    /// In words.
    public var description: String {
        switch self {
        case .success: "success"
        case .errno(let number): "errno \(number)"
        case .memoryFault(let number): "memory fault, errno \(number)"
        case .mmio: "device access"
        }
    }
}

/// What PVALIDATE must give the guest, once the hypervisor has dealt with every fault on the way.
public enum ModelValidation: Hashable, Sendable {
    /// The bit has changed.
    case changed
    /// The bit had this value already (CF = 1).
    case unchanged
    /// FAIL_SIZEMISMATCH.
    case sizeMismatch
    /// FAIL_INPUT.
    case misaligned
    /// The access leaves to the VMM.
    case exit(ModelOutcome)
}

/// One 4 KiB page of one backing file.
public struct BackingPage: Hashable, Comparable, Sendable {
    /// Which file.
    public var file: Int
    /// Which page of it.
    public var index: UInt64

    /// Names a page.
    public init(file: Int, index: UInt64) {
        self.file = file
        self.index = index
    }

    /// The first page of the 2 MiB of the file that hold this page.
    public var blockHead: BackingPage { BackingPage(file: file, index: index / 512 * 512) }

    /// Orders by file, then page.
    public static func < (a: Self, b: Self) -> Bool { (a.file, a.index) < (b.file, b.index) }
}

/// A slot of guest physical memory.
public struct ModelSlot: Hashable, Sendable {
    /// The guest frames.
    public var frames: Range<GFN>
    /// What backs private pages: the file and its page behind the first frame. Nil if the slot can have none.
    public var backing: BackingPage?

    /// Makes a slot.
    public init(frames: Range<GFN>, backing: BackingPage?) {
        self.frames = frames
        self.backing = backing
    }
}

/// An RMP instruction that fails for good, made to happen on purpose.
public struct InjectedFailure: Hashable, Sendable {
    /// RMPUPDATE or PSMASH.
    public enum Instruction: Sendable {
        /// RMPUPDATE.
        case rmpUpdate
        /// PSMASH.
        case psmash
    }
    /// Which instruction.
    public var instruction: Instruction
    /// The first call to fail, counted from 1 since the operation began.
    public var call: Int
    /// Whether all later calls of the operation fail too, or only this one.
    public var isLasting: Bool

    /// Makes a failure.
    public init(_ instruction: Instruction, call: Int, isLasting: Bool) {
        self.instruction = instruction
        self.call = call
        self.isLasting = isLasting
    }
}

/// The RMP instructions of one operation: counts them, and says which fail.
struct Instructions {
    let failure: InjectedFailure?
    private var updates = 0
    private var smashes = 0

    init(_ failure: InjectedFailure?) { self.failure = failure }

    /// One RMPUPDATE. False if it fails.
    mutating func update() -> Bool {
        updates += 1
        return !fails(.rmpUpdate, updates)
    }

    /// One PSMASH. False if it fails.
    mutating func smash() -> Bool {
        smashes += 1
        return !fails(.psmash, smashes)
    }

    private func fails(_ instruction: InjectedFailure.Instruction, _ call: Int) -> Bool {
        guard let failure, failure.instruction == instruction else { return false }
        return failure.isLasting ? call >= failure.call : call == failure.call
    }
}
