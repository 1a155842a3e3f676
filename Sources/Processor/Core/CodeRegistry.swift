// Which processor has decoded which frame: a write by one of them must be noticed by the others. What one processor alone
// does with its code is BlockCache's.

internal import SNPArchitecture
internal import Synchronization

/// What the processors of one machine know of each other's decoded code.
///
/// A processor that writes to a frame whose code another has decoded leaves a note for it; the other reads its notes before
/// it runs and between slices, and decodes the frame anew.
/// - Deviates: a processor that runs at the same time on another thread notices after at most a slice, not at its next
///   serialising instruction
public final class CodeRegistry: Sendable {
    private struct Contents {
        var nextNumber = 0
        var members: Set<Int> = []
        /// For each frame with decoded code the processors that have it.
        var holders: [UInt64: Set<Int>] = [:]
        /// For each processor the frames that others have written since it looked.
        var notes: [Int: Set<UInt64>] = [:]
        /// Grows whenever a frame becomes code: writable translations made before must go.
        var generation: UInt64 = 0
    }
    private let contents = Mutex(Contents())
    /// Grows with every change: a processor that has seen it need not ask.
    private let version = Atomic<UInt64>(0)
    var currentVersion: UInt64 { version.load(ordering: .acquiring) }

    private func changed() { version.wrappingAdd(1, ordering: .releasing) }

    /// What a processor must know before it goes on.
    struct News {
        /// Frames to forget.
        var written: Set<UInt64>
        /// When this differs from what it was, writable translations may lead to code.
        var generation: UInt64
        /// Whether there is anyone to ask about.
        var hasOthers: Bool
    }

    /// Makes a registry without processors.
    public init() {}

    /// A number for one more processor.
    func join() -> Int {
        defer { changed() }
        return contents.withLock { contents in
            contents.nextNumber += 1
            contents.members.insert(contents.nextNumber)
            return contents.nextNumber
        }
    }

    /// A processor is gone.
    func leave(_ number: Int) {
        contents.withLock {
            $0.members.remove(number)
            $0.notes[number] = nil
            Self.forget(number, in: &$0)
        }
        changed()
    }

    /// A processor has forgotten all its code.
    func removeAll(of number: Int) {
        contents.withLock { Self.forget(number, in: &$0) }
    }

    private static func forget(_ number: Int, in contents: inout Contents) {
        for (frame, holders) in contents.holders where holders.contains(number) {
            let others = holders.subtracting([number])
            contents.holders[frame] = others.isEmpty ? nil : others
        }
    }

    /// A processor has decoded code of a frame.
    func add(_ pfn: PFN, by number: Int) {
        contents.withLock {
            guard $0.holders[pfn.rawValue, default: []].insert(number).inserted else { return }
            $0.generation &+= 1
        }
        changed()
    }

    /// Whether another processor has decoded code of a frame.
    func isHeld(_ pfn: PFN, byOtherThan number: Int) -> Bool {
        contents.withLock { $0.holders[pfn.rawValue].map { $0 != [number] } ?? false }
    }

    /// A processor writes to a frame: no code of it is valid any longer.
    func noteWrite(_ pfn: PFN, by number: Int) {
        contents.withLock {
            guard let holders = $0.holders.removeValue(forKey: pfn.rawValue) else { return }
            for other in holders where other != number { $0.notes[other, default: []].insert(pfn.rawValue) }
        }
        changed()
    }

    /// What has happened since a processor last asked.
    func takeNews(_ number: Int) -> News {
        contents.withLock {
            News(
                written: $0.notes.removeValue(forKey: number) ?? [], generation: $0.generation,
                hasOthers: $0.members.count > 1)
        }
    }
}
