// Judges the end state of a list of conversions by the reference model, which shares no code with the hypervisor.

import Hypervisor
import Machine
import ReferenceModel
import SNPArchitecture

extension VirtualMachine {
    /// Where the guest's attributes and, under an eager policy, its RMP entries differ from what the model computes.
    func differences(from steps: [ConversionStep], _ request: ConvertRequest, limit: Int = 8) -> [String] {
        let memory = GFN(0)..<GFN(request.memory.byteCount >> 12)
        var model = PlanModel(memory: memory, folioOrder: request.folioOrder)
        for step in steps { model.convert(step.frames, isPrivate: step.target == .private) }
        var differences: [String] = []
        let expected = model.privateRuns
        let actual = attributeRuns(in: memory).filter { $0.attribute == .private }.map(\.range)
        if expected != actual {
            differences.append(
                "reference model: \(expected.count) private runs are expected, there are \(actual.count)")
        }
        guard policy.isEager, let slot = memorySlots.first else { return differences }
        var ahead = expected[...]
        var head = memory.lowerBound
        while head < memory.upperBound, differences.count < limit {
            let block = head..<min(head + 512, memory.upperBound)
            while let run = ahead.first, run.upperBound <= head { ahead.removeFirst() }
            let isShared = ahead.first.map { $0.lowerBound >= block.upperBound } ?? true
            // A block that is all shared, or one 2M entry, is one look.
            if model.entrySize(of: head) == .size2M {
                if let difference = difference(at: head, slot, expected: .size2M) { differences.append(difference) }
            } else if !(isShared && hasNoAssignedPage(head, slot)) {
                differences += block.compactMap { difference(at: $0, slot, expected: model.entrySize(of: $0)) }
            }
            head = block.upperBound
        }
        return Array(differences.prefix(limit))
    }

    private func hasNoAssignedPage(_ head: GFN, _ slot: MemorySlot) -> Bool {
        guard let pfn = backingFrame(of: head, in: slot), pfn.isAligned(to: .size2M) else { return false }
        return host.rmp.lookup(pfn)?.regionHasAssignedPages == false
    }

    private func difference(at gfn: GFN, _ slot: MemorySlot, expected: PageSize?) -> String? {
        guard let pfn = backingFrame(of: gfn, in: slot), let entry = host.rmp.lookup(pfn) else { return nil }
        let actual = entry.assigned ? entry.pageSize : nil
        guard actual != expected else { return nil }
        func words(_ size: PageSize?) -> String { size.map { "assigned as \($0)" } ?? "the host's" }
        return "reference model: guest frame \(gfn) must be \(words(expected)), the RMP has it \(words(actual))"
    }
}
