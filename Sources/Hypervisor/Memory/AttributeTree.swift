// Which guest frames are private: a radix tree in which a subtree of one value is one bit.
//
// Each node spans 64 children; a child is all shared, all private, or mixed with a node of its own. Setting a range touches
// only the nodes on its two edges, so it costs O(log n), and memory follows the number of ranges, not of pages.

internal import SNPArchitecture
internal import Scheduling

/// The tree over plain frame numbers below 2^36. A value, so that one access to it covers all that a call does.
struct AttributeTree {
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

    /// How many nodes the tree has.
    var nodeCount: Int { nodes.count - freeNodes.count }

    /// Whether a frame is private.
    func isPrivate(_ frame: UInt64) -> Bool {
        var node = 0
        var level = Self.topLevel
        while true {
            let child = frame >> UInt64(level * 6) & 63
            let here = nodes[node]
            if here.allPrivate >> child & 1 == 1 { return true }
            guard here.mixed >> child & 1 == 1 else { return false }
            node = Int(links[here.links + Int(child)])
            level -= 1
        }
    }

    /// Whether every frame of the range has the attribute.
    func isUniform(_ frames: ClosedRange<UInt64>, _ attribute: MemoryAttribute) -> Bool {
        isUniform(0, Self.topLevel, frames.lowerBound, frames.upperBound, attribute)
    }

    /// Gives every frame of the range the attribute.
    mutating func set(_ frames: ClosedRange<UInt64>, to attribute: MemoryAttribute) {
        set(0, Self.topLevel, frames.lowerBound, frames.upperBound, attribute)
    }

    /// Calls `body` with first frame, count and attribute of runs that cover all frames, in order.
    func forEachRun(_ body: (UInt64, UInt64, MemoryAttribute) -> Void) { forEachRun(0, Self.topLevel, 0, body) }

    /// Takes another tree's contents into its own memory, which stays its own: the next change copies nothing.
    mutating func become(_ other: AttributeTree) {
        nodes.replaceAll(with: other.nodes)
        freeNodes.replaceAll(with: other.freeNodes)
        links.replaceAll(with: other.links)
        freeLinks.replaceAll(with: other.freeLinks)
    }

    /// The attributes, as a number.
    func combine(into hasher: inout StateHasher) { combine(0, into: &hasher) }

    private func combine(_ node: Int, into hasher: inout StateHasher) {
        let here = nodes[node]
        hasher.combine(here.allPrivate)
        hasher.combine(here.mixed)
        var mixed = here.mixed
        while mixed != 0 {
            combine(Int(links[here.links + mixed.trailingZeroBitCount]), into: &hasher)
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

    private mutating func set(_ node: Int, _ level: Int, _ low: UInt64, _ high: UInt64, _ attribute: MemoryAttribute) {
        let shift = UInt64(level * 6)
        let span = (1 as UInt64) << shift - 1
        let (first, last) = (low >> shift, high >> shift)
        var whole = mask(first, last)
        if level > 0 {
            let end = first == last ? high & span : span
            if low & span != 0 || end != span {
                whole &= ~(1 << first)
                setPart(node, level, first, low & span, end, attribute)
            }
            if first != last, high & span != span {
                whole &= ~(1 << last)
                setPart(node, level, last, 0, high & span, attribute)
            }
        }
        guard whole != 0 else { return }
        releaseChildren(node, whole & nodes[node].mixed)
        nodes[node].mixed &= ~whole
        if attribute == .private { nodes[node].allPrivate |= whole } else { nodes[node].allPrivate &= ~whole }
    }

    /// Sets part of a child, giving it a node if it has none, and folds the child if it became uniform.
    private mutating func setPart(
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

    private mutating func makeNode() -> Int {
        if let node = freeNodes.popLast() {
            nodes[node] = Node()
            return node
        }
        nodes.append(Node())
        return nodes.count - 1
    }

    private mutating func makeLinks() -> Int {
        if let start = freeLinks.popLast() { return start }
        links.append(contentsOf: repeatElement(0, count: 64))
        return links.count - 64
    }

    private mutating func releaseChildren(_ node: Int, _ children: UInt64) {
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
        let here = nodes[node]
        for child in 0..<64 as Range<UInt64> {
            let first = base + child << shift
            if here.mixed >> child & 1 == 1 {
                forEachRun(Int(links[here.links + Int(child)]), level - 1, first, body)
            } else {
                body(first, 1 << shift, here.allPrivate >> child & 1 == 1 ? .private : .shared)
            }
        }
    }
}

extension Array {
    /// Takes another array's elements into its own memory.
    fileprivate mutating func replaceAll(with other: [Element]) {
        removeAll(keepingCapacity: true)
        append(contentsOf: other)
    }
}
