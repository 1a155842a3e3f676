// Memory attributes against a set of private frames.

import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Memory attributes")
struct MemoryAttributesTests {
    @Test("Random ranges near the borders of every tree level: each frame, each range and all runs as in a set")
    func random() {
        for seed in TestScale.seeds(30) {
            var entropy = EntropySource(seed: seed)
            let attributes = MemoryAttributes()
            var frames: Set<UInt64> = []
            // A window around a border between nodes of a level.
            let level = UInt64(seed % 6)
            let border = level == 0 ? 512 : (UInt64.random(in: 1..<8, using: &entropy) << (6 * level))
            let window = max(border, 400) - 400..<border + 400
            func range(_ entropy: inout EntropySource) -> Range<UInt64> {
                let low = UInt64.random(in: window.lowerBound..<window.upperBound - 1, using: &entropy)
                let snapped = Bool.random(using: &entropy) ? max(low & ~63, window.lowerBound) : low
                return
                    snapped..<min(
                        snapped + [1, 64, 128, UInt64.random(in: 1..<300, using: &entropy)].randomElement(
                            using: &entropy)!, window.upperBound)
            }
            for _ in 0..<60 {
                let changed = range(&entropy)
                if Bool.random(using: &entropy) {
                    attributes.set(GFN(changed.lowerBound)..<GFN(changed.upperBound), to: .private)
                    frames.formUnion(changed)
                } else {
                    attributes.set(GFN(changed.lowerBound)..<GFN(changed.upperBound), to: .shared)
                    frames.subtract(changed)
                }
                let asked = range(&entropy)
                let gfns = GFN(asked.lowerBound)..<GFN(asked.upperBound)
                #expect(attributes.isUniform(gfns, .private) == asked.allSatisfy { frames.contains($0) })
                #expect(attributes.isUniform(gfns, .shared) == asked.allSatisfy { !frames.contains($0) })
            }
            for frame in window where (attributes.attribute(of: GFN(frame)) == .private) != frames.contains(frame) {
                Issue.record("seed \(seed): frame \(frame)")
                break
            }
            check(attributes, frames, window, seed)
            attributes.set(GFN(0)..<GFN(1 << 36), to: .shared)
            #expect(attributes.nodeCount == 1, "nodes are given back")
        }
    }

    /// Runs cover the window without gaps, alternate, and say what the set says.
    private func check(_ attributes: MemoryAttributes, _ frames: Set<UInt64>, _ window: Range<UInt64>, _ seed: UInt64) {
        var next = window.lowerBound
        var last: MemoryAttribute?
        for run in attributes.runs(in: GFN(window.lowerBound)..<GFN(window.upperBound)) {
            #expect(run.range.lowerBound.rawValue == next && run.attribute != last, "seed \(seed)")
            let isPrivate = run.attribute == .private
            #expect(run.range.allSatisfy { frames.contains($0.rawValue) == isPrivate }, "seed \(seed)")
            next = run.range.upperBound.rawValue
            last = run.attribute
        }
        #expect(next == window.upperBound)
    }

    @Test("The whole space and its ends; frames past it are shared; empty ranges are uniform")
    func ends() {
        let attributes = MemoryAttributes()
        let end = UInt64(1) << UInt64(MemoryAttributes.frameBits)
        #expect(attributes.isUniform(GFN(0)..<GFN(end), .shared))
        attributes.set(GFN(0)..<GFN(end), to: .private)
        #expect(attributes.nodeCount == 1)
        #expect(attributes.isUniform(GFN(0)..<GFN(end), .private))
        #expect(attributes.attribute(of: GFN(end - 1)) == .private)
        #expect(attributes.attribute(of: GFN(end)) == .shared && attributes.attribute(of: GFN(~0)) == .shared)
        attributes.set(GFN(end - 1)..<GFN(end), to: .shared)
        #expect(!attributes.isUniform(GFN(0)..<GFN(end), .private))
        #expect(attributes.isUniform(GFN(0)..<GFN(end - 1), .private))
        #expect(
            attributes.runs(in: GFN(0)..<GFN(end)).map(\.range) == [GFN(0)..<GFN(end - 1), GFN(end - 1)..<GFN(end)])
        #expect(attributes.isUniform(GFN(5)..<GFN(5), .shared) && attributes.isUniform(GFN(5)..<GFN(5), .private))
        attributes.set(GFN(5)..<GFN(5), to: .shared)
        #expect(attributes.attribute(of: GFN(5)) == .private)
    }

    @Test("Memory follows the number of runs, not of pages: a TiB in one piece is a handful of nodes")
    func size() {
        let attributes = MemoryAttributes()
        attributes.set(GFN(1)..<GFN(1 << 28), to: .private)
        #expect(attributes.nodeCount < 12)
        for page in 0..<1000 as Range<UInt64> { attributes.set(GFN(page * 2)..<GFN(page * 2 + 1), to: .shared) }
        let before = attributes.nodeCount
        #expect(before < 60)
        for _ in 0..<100 {
            attributes.set(GFN(0)..<GFN(1 << 20), to: .shared)
            for page in 0..<1000 as Range<UInt64> { attributes.set(GFN(page * 2)..<GFN(page * 2 + 1), to: .private) }
        }
        #expect(attributes.nodeCount < before + 20, "nodes are reused")
    }
}
