// Which guest frames are private: a radix tree in which a subtree of one value is one bit.
//
// Each node spans 64 children; a child is all shared, all private, or mixed with a node of its own. Setting a range touches
// only the nodes on its two edges, so it costs O(log n), and memory follows the number of ranges, not of pages.

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

    private struct Node {
        /// Children that are private throughout.
        var allPrivate: UInt64 = 0
        /// Children with a node of their own; never set on level 0.
        var mixed: UInt64 = 0
        /// Where the 64 child links start in `links`, or -1.
        var links = -1
    }

    private var nodes: [Node] = [Node()]
    private var freeNodes: [Int] = []
    private var links: [Int32] = []
    private var freeLinks: [Int] = []
    private static let topLevel = 5

    /// Makes attributes that are shared throughout.
    public init() {}

    /// How many nodes the tree has, a measure of its memory.
    public var nodeCount: Int { nodes.count - freeNodes.count }

    /// The attribute of one frame. Frames past `frameBits` are shared.
    public func attribute(of gfn: GFN) -> MemoryAttribute {
        guard gfn.rawValue >> UInt64(Self.frameBits) == 0 else { return .shared }
        var node = 0
        var level = Self.topLevel
        while true {
            let child = gfn.rawValue >> UInt64(level * 6) & 63
            if nodes[node].allPrivate >> child & 1 == 1 { return .private }
            guard nodes[node].mixed >> child & 1 == 1 else { return .shared }
            node = Int(links[nodes[node].links + Int(child)])
            level -= 1
        }
    }

    /// Whether every frame of the range has the attribute.
    public func isUniform(_ range: Range<GFN>, _ attribute: MemoryAttribute) -> Bool {
        guard !range.isEmpty else { return true }
        return isUniform(0, Self.topLevel, range.lowerBound.rawValue, range.upperBound.rawValue - 1, attribute)
    }

    /// Gives every frame of the range the attribute.
    ///
    /// - Precondition: the range ends below 2^`frameBits`
    public func set(_ range: Range<GFN>, to attribute: MemoryAttribute) {
        guard !range.isEmpty else { return }
        precondition(range.upperBound.rawValue <= 1 << UInt64(Self.frameBits), "guest frame number")
        noteChange()
        set(0, Self.topLevel, range.lowerBound.rawValue, range.upperBound.rawValue - 1, attribute)
    }

    /// The maximal runs of one attribute within the range, in order.
    public func runs(in range: Range<GFN>) -> [(range: Range<GFN>, attribute: MemoryAttribute)] {
        var runs: [(range: Range<GFN>, attribute: MemoryAttribute)] = []
        forEachRun(0, Self.topLevel, 0) { first, count, attribute in
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
        let saved = (nodes, freeNodes, links, freeLinks)
        var checkpoint = Checkpoint()
        checkpoint.add { [self] in (nodes, freeNodes, links, freeLinks) = saved }
        return checkpoint
    }

    /// The attributes, as a number.
    func combine(into hasher: inout StateHasher) { combine(0, into: &hasher) }

    private func combine(_ node: Int, into hasher: inout StateHasher) {
        hasher.combine(nodes[node].allPrivate)
        hasher.combine(nodes[node].mixed)
        var mixed = nodes[node].mixed
        while mixed != 0 {
            combine(Int(links[nodes[node].links + mixed.trailingZeroBitCount]), into: &hasher)
            mixed &= mixed - 1
        }
    }

    // MARK: Recursion. Bounds are inclusive; `low` and `high` are relative to the node's first frame.

    /// The children between two, as a mask.
    private func mask(_ first: UInt64, _ last: UInt64) -> UInt64 { (~0 << first) & (~0 >> (63 - last)) }

    private func isUniform(_ node: Int, _ level: Int, _ low: UInt64, _ high: UInt64, _ attribute: MemoryAttribute)
        -> Bool
    {
        let shift = UInt64(level * 6)
        let (first, last) = (low >> shift, high >> shift)
        let here = nodes[node]
        let whole = attribute == .private ? here.allPrivate : ~(here.allPrivate | here.mixed)
        let touched = mask(first, last)
        var open = touched & ~whole
        guard open & ~here.mixed == 0 else { return false }
        let span = (1 as UInt64) << shift - 1
        while open != 0 {
            let child = UInt64(open.trailingZeroBitCount)
            open &= open - 1
            let from = child == first ? low & span : 0
            let to = child == last ? high & span : span
            // A mixed child is never uniform throughout, only within a part.
            if from == 0 && to == span { return false }
            if !isUniform(Int(links[here.links + Int(child)]), level - 1, from, to, attribute) { return false }
        }
        return true
    }

    private func set(_ node: Int, _ level: Int, _ low: UInt64, _ high: UInt64, _ attribute: MemoryAttribute) {
        let shift = UInt64(level * 6)
        let span = (1 as UInt64) << shift - 1
        let (first, last) = (low >> shift, high >> shift)
        var whole = mask(first, last)
        if level > 0 {
            for child in first == last ? [first] : [first, last] {
                let from = child == first ? low & span : 0
                let to = child == last ? high & span : span
                guard from != 0 || to != span else { continue }
                whole &= ~(1 << child)
                setPart(node, level, child, from, to, attribute)
            }
        }
        releaseChildren(node, whole & nodes[node].mixed)
        nodes[node].mixed &= ~whole
        if attribute == .private { nodes[node].allPrivate |= whole } else { nodes[node].allPrivate &= ~whole }
    }

    /// Sets part of a child, giving it a node if it has none, and folds the child if it became uniform.
    private func setPart(
        _ node: Int, _ level: Int, _ child: UInt64, _ low: UInt64, _ high: UInt64, _ attribute: MemoryAttribute
    ) {
        let bit = (1 as UInt64) << child
        if nodes[node].mixed & bit == 0 {
            let isPrivate = nodes[node].allPrivate & bit != 0
            guard isPrivate != (attribute == .private) else { return }
            let new = makeNode()
            nodes[new].allPrivate = isPrivate ? ~0 : 0
            if nodes[node].links < 0 { nodes[node].links = makeLinks() }
            links[nodes[node].links + Int(child)] = Int32(new)
            nodes[node].mixed |= bit
            nodes[node].allPrivate &= ~bit
        }
        let index = Int(links[nodes[node].links + Int(child)])
        set(index, level - 1, low, high, attribute)
        guard nodes[index].mixed == 0, nodes[index].allPrivate == 0 || nodes[index].allPrivate == ~0 else { return }
        if nodes[index].allPrivate == ~0 { nodes[node].allPrivate |= bit }
        releaseChildren(node, bit)
        nodes[node].mixed &= ~bit
    }

    private func makeNode() -> Int {
        if let node = freeNodes.popLast() {
            nodes[node] = Node()
            return node
        }
        nodes.append(Node())
        return nodes.count - 1
    }

    private func makeLinks() -> Int {
        if let start = freeLinks.popLast() { return start }
        links.append(contentsOf: repeatElement(0, count: 64))
        return links.count - 64
    }

    private func releaseChildren(_ node: Int, _ children: UInt64) {
        var children = children
        while children != 0 {
            let child = children.trailingZeroBitCount
            children &= children - 1
            let index = Int(links[nodes[node].links + child])
            releaseChildren(index, nodes[index].mixed)
            if nodes[index].links >= 0 { freeLinks.append(nodes[index].links) }
            freeNodes.append(index)
        }
    }

    private func forEachRun(
        _ node: Int, _ level: Int, _ base: UInt64, _ body: (UInt64, UInt64, MemoryAttribute) -> Void
    ) {
        let shift = UInt64(level * 6)
        for child in 0..<64 as Range<UInt64> {
            let first = base + child << shift
            if nodes[node].mixed >> child & 1 == 1 {
                forEachRun(Int(links[nodes[node].links + Int(child)]), level - 1, first, body)
            } else {
                body(first, 1 << shift, nodes[node].allPrivate >> child & 1 == 1 ? .private : .shared)
            }
        }
    }
}
