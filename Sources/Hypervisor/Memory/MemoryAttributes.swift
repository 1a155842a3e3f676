// Which guest frames are private, as a virtual machine keeps it: the tree of AttributeTree under the owner's lock.

public import SNPArchitecture
internal import Scheduling

/// The attribute that user space gives to a guest page. Pages have `shared` until told otherwise.
public enum MemoryAttribute: UInt8, Hashable, Sendable {
    /// The guest shares the page with the host.
    case shared = 0
    /// KVM_MEMORY_ATTRIBUTE_PRIVATE.
    case `private` = 1
}

/// The attributes of all guest frames of a virtual machine. The owner's lock guards it.
public final class MemoryAttributes {
    /// Guest frame numbers have at most this many bits: 6 levels of 6 bits, 256 TiB.
    public static let frameBits = 36

    // Not checked for exclusive access: the owner's lock guards both, and no call of theirs reaches a schedule point.
    @safe @exclusivity(unchecked) private var tree = AttributeTree()
    @safe @exclusivity(unchecked) private var version = StateVersion()

    /// Makes attributes that are shared throughout.
    public init() {}

    /// How many nodes the tree has, a measure of its memory.
    public var nodeCount: Int { tree.nodeCount }

    /// The attribute of one frame. Frames past `frameBits` are shared.
    public func attribute(of gfn: GFN) -> MemoryAttribute {
        gfn.rawValue >> UInt64(Self.frameBits) == 0 && tree.isPrivate(gfn.rawValue) ? .private : .shared
    }

    /// Whether every frame of the range has the attribute.
    public func isUniform(_ range: Range<GFN>, _ attribute: MemoryAttribute) -> Bool {
        guard !range.isEmpty else { return true }
        return tree.isUniform(range.lowerBound.rawValue...range.upperBound.rawValue - 1, attribute)
    }

    /// Gives every frame of the range the attribute.
    ///
    /// - Precondition: the range ends below 2^`frameBits`
    public func set(_ range: Range<GFN>, to attribute: MemoryAttribute) {
        guard !range.isEmpty else { return }
        precondition(range.upperBound.rawValue <= 1 << UInt64(Self.frameBits), "guest frame number")
        version.change()
        tree.set(range.lowerBound.rawValue...range.upperBound.rawValue - 1, to: attribute)
    }

    /// The maximal runs of one attribute within the range, in order.
    public func runs(in range: Range<GFN>) -> [(range: Range<GFN>, attribute: MemoryAttribute)] {
        var runs: [(range: Range<GFN>, attribute: MemoryAttribute)] = []
        tree.forEachRun { first, count, attribute in
            let low = max(first, range.lowerBound.rawValue)
            let high = min(first + count, range.upperBound.rawValue)
            guard low < high else { return }
            if let last = runs.last, last.attribute == attribute, last.range.upperBound.rawValue == low {
                runs[runs.count - 1].range = last.range.lowerBound..<GFN(high)
            } else {
                runs.append((GFN(low)..<GFN(high), attribute))
            }
        }
        return runs
    }

    func checkpoint() -> Checkpoint {
        let (saved, number) = (tree, version.current)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in
            guard version.current != number else { return }
            tree.become(saved)
            version.goBack(to: number)
        }
        return checkpoint
    }

    /// The attributes, as a number.
    func combine(into hasher: inout StateHasher) {
        version.combine(into: &hasher) { tree.combine(into: &$0) }
    }
}
