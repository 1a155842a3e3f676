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
        var gfn = memory.lowerBound
        while gfn < memory.upperBound, differences.count < limit {
            let size = model.entrySize(of: gfn)
            if let difference = difference(at: gfn, slot, expected: size) { differences.append(difference) }
            gfn = gfn + (size == .size2M ? 512 : 1)
            // A block without a private page is one look, if the RMP has nothing there either.
            if size == nil, gfn.rawValue & 511 == 1, gfn + 511 <= memory.upperBound,
                !expected.contains(where: { $0.overlaps((gfn + 0)..<(gfn + 511)) }),
                isFree(gfn.aligned(down: .size2M), slot)
            {
                gfn = gfn + 511
            }
        }
        return differences
    }

    private func frame(of gfn: GFN, _ slot: MemorySlot) -> PFN? { backingFrame(of: gfn, in: slot) }

    private func isFree(_ head: GFN, _ slot: MemorySlot) -> Bool {
        guard let pfn = frame(of: head, slot), pfn.isAligned(to: .size2M) else { return false }
        return host.rmp.lookup(pfn)?.regionHasAssignedPages == false
    }

    private func difference(at gfn: GFN, _ slot: MemorySlot, expected: PageSize?) -> String? {
        guard let pfn = frame(of: gfn, slot), let entry = host.rmp.lookup(pfn) else { return nil }
        let actual = entry.assigned ? entry.pageSize : nil
        guard actual != expected else { return nil }
        func words(_ size: PageSize?) -> String { size.map { "assigned as \($0)" } ?? "the host's" }
        return "reference model: guest frame \(gfn) must be \(words(expected)), the RMP has it \(words(actual))"
    }
}
