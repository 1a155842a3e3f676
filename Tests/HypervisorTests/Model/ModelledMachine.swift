// A virtual machine and its model side by side: each operation goes to both, and their states must agree.

import Machine
import Rampart
import ReferenceModel
import SNPArchitecture
import Synchronization

@testable import Hypervisor

/// A machine with its model.
final class ModelledMachine {
    let emulated: EmulatedHost
    let vm: VirtualMachine
    let files: [GuestMemory]
    private(set) var model: GuestModel
    /// Free frames, and those in the direct map's own tables, before the machine was made.
    let freeFramesBefore: UInt64
    private var user: UserMemory?

    var host: Host { emulated.host }

    init(
        policy: ModelPolicy, slots: [ModelSlot] = ProgramLayout.slots,
        filePageCounts: [UInt64] = ProgramLayout.filePageCounts, folioOrders: [UInt8] = ProgramLayout.folioOrders,
        dramByteCount: UInt64 = 48 << 20
    ) throws {
        emulated = try EmulatedHost(MachineConfiguration(dramByteCount: dramByteCount))
        freeFramesBefore = emulated.host.allocator.freeFrameCount + emulated.smallRegionCount
        let vm = try VirtualMachine(host: emulated.host, policy: policy == .eager ? EagerPolicy() : LazyPolicy())
        try vm.sevInit2()
        files = try zip(filePageCounts, folioOrders).map {
            try vm.createGuestMemory(byteCount: $0 << 12, folioOrder: $1)
        }
        self.vm = vm
        model = GuestModel(policy: policy, slots: slots, filePageCounts: filePageCounts)
        let user = try UserMemory(
            host: emulated.host, byteCount: (slots.map { $0.frames.upperBound.rawValue }.max() ?? 0) << 12)
        self.user = user
        for (number, slot) in slots.enumerated() {
            var region = MemoryRegion(
                slot: UInt32(number), gpa: slot.frames.lowerBound.address, byteCount: UInt64(slot.frames.count) << 12,
                userMemory: user, guestMemory: slot.backing.map { files[$0.file] })
            region.userOffset = slot.frames.lowerBound.rawValue << 12
            region.guestOffset = (slot.backing?.index ?? 0) << 12
            try vm.setMemoryRegion(region)
        }
    }

    // MARK: Operations

    /// Runs an operation on both. Returns what disagrees.
    func run(_ operation: ProgramOperation) -> [String] {
        switch operation {
        case .back(let page, let order):
            back(page, order)
            return []
        case .allocate(let file, let range):
            let expected = range.upperBound <= files[file].pageCount
            let succeeded =
                (try? vm.allocate(files[file], offset: range.lowerBound << 12, byteCount: UInt64(range.count) << 12))
                != nil
            return expectEqual(succeeded, expected && !model.isDead, "allocate succeeds") + noteNewFolios(file, range)
        case .convert(let range, let isPrivate, let failure):
            let expected = model.setAttributes(range, isPrivate: isPrivate, failure: failure)
            let found: ModelOutcome = withFailure(failure) {
                do throws(ConversionFailure) {
                    try vm.setMemoryAttributes(
                        range.lowerBound.address, byteCount: UInt64(range.count) << 12,
                        to: isPrivate ? .private : .shared)
                    return .success
                } catch {
                    return .errno(error.errno.rawValue)
                }
            }
            return expectEqual(found, expected.outcome, "answer")
        case .punchHole(let file, let range, let failure):
            model.punchHole(file: file, range, failure: failure)
            let succeeded = withFailure(failure) {
                (try? vm.punchHole(files[file], offset: range.lowerBound << 12, byteCount: UInt64(range.count) << 12))
                    != nil
            }
            return expectEqual(succeeded, true, "punch hole succeeds")
        case .fault(let gfn, let isPrivate, let rmpBit, let failure):
            let found = withFailure(failure) { fault(gfn, isPrivate: isPrivate, rmpBit: rmpBit) }
            let problems = noteNewFolio(gfn)
            let expected = model.fault(gfn, isPrivate: isPrivate, rmpBit: rmpBit, failure: failure)
            return problems + expectEqual(found, expected, "outcome")
        case .validate(let gfn, let size, let value):
            let found = validate(gfn, size, to: value)
            let problems = noteNewFolio(gfn)
            return problems + expectEqual(found, model.validate(gfn, size, to: value), "result of PVALIDATE")
        }
    }

    /// Backs pages with a folio of the program's choice, as a page cache might.
    func back(_ page: BackingPage, _ order: UInt8) {
        guard model.back(page, order: order), let block = host.allocator.allocate(order: order) else { return }
        let folio = Folio(index: page.index, pfn: block.pfn, order: order, isCleared: block.isFresh)
        files[page.file].folios.insert(folio)
        vm.noteBacking(files[page.file], folio)
    }

    /// Tells the model which folios an allocation has made.
    private func noteNewFolios(_ file: Int, _ range: Range<UInt64>) -> [String] {
        var problems: [String] = []
        let range = range.clamped(to: 0..<files[file].pageCount)
        files[file].folios.forEach(in: range) { folio in
            let first = BackingPage(file: file, index: folio.index)
            guard model.folioOrder[first] == nil else { return }
            if !model.back(first, order: folio.order) {
                problems.append("a folio of order \(folio.order) at \(folio.index)")
            }
        }
        return problems
    }

    private func noteNewFolio(_ gfn: GFN) -> [String] {
        guard let place = model.place(of: gfn) else { return [] }
        return noteNewFolios(place.file, place.index..<place.index + 1)
    }

    private func fault(_ gfn: GFN, isPrivate: Bool, rmpBit: Bool) -> ModelOutcome {
        var error: PageFaultError = [.user, .finalAddress]
        if isPrivate { error.insert(.encrypted) }
        if rmpBit { error.formUnion([.present, .rmp, .sizeMismatch]) }
        switch vm.handleNestedPageFault(gfn.address + 0x18, error) {
        case .resume: return .success
        case .memoryFault(_, _, _, let errno): return .memoryFault(errno.rawValue)
        case .mmio: return .mmio
        case .failed(let errno): return .errno(errno.rawValue)
        }
    }

    /// PVALIDATE as the guest sees it: faults on the way are handled and the instruction starts again.
    private func validate(_ gfn: GFN, _ size: PageSize, to value: Bool) -> ModelValidation {
        for _ in 0..<4 {
            guard let mapping = vm.nested.mapping(of: gfn) else {
                let outcome = fault(gfn, isPrivate: true, rmpBit: false)
                guard outcome == .success else { return .exit(outcome) }
                continue
            }
            do throws(GuestInstructionFailure) {
                let page = GuestPage(gpa: gfn.address, pfn: mapping.pfn, level: mapping.level)
                let changed = try emulated.machine.rmp.pvalidate(
                    page, size: size, validate: value, asid: vm.asid ?? .host, vmpl: .vmpl0)
                return changed ? .changed : .unchanged
            } catch {
                switch error {
                case .status(.failSizeMismatch): return .sizeMismatch
                case .status(.failInput): return .misaligned
                case .status(let status): return .exit(.errno(Int32(status.rawValue) + 1000))
                case .fault(.pageNotValidated): return .exit(.errno(2000))
                case .fault(.nestedPageFault(_, let error)):
                    let outcome = fault(gfn, isPrivate: true, rmpBit: error.contains(.rmp))
                    guard outcome == .success else { return .exit(outcome) }
                }
            }
        }
        return .exit(.errno(3000))
    }

    /// Runs `body` while RMP instructions fail as asked.
    private func withFailure<R>(_ failure: InjectedFailure?, _ body: () -> R) -> R {
        guard let failure else { return body() }
        let calls = Mutex(0)
        let wanted: RMPInstruction = failure.instruction == .psmash ? .psmash : .rmpUpdate
        emulated.machine.rmp.injection.set { instruction, _ in
            guard instruction == wanted else { return nil }
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            return (failure.isLasting ? call >= failure.call : call == failure.call) ? .failPermission : nil
        }
        defer { emulated.machine.rmp.injection.set(nil) }
        return body()
    }

    // MARK: The end

    /// Destroys the machine. Returns what it has not given back.
    func destroy() -> [String] {
        vm.destroy()
        user = nil
        var problems = emulated.machine.rmp.findViolations()
        let leaked = UInt64(model.leakedPageCount)
        problems += expectEqual(UInt64(host.leaked.count), leaked, "leaked frames")
        let free = host.allocator.freeFrameCount + emulated.smallRegionCount
        problems += expectEqual(free, freeFramesBefore - leaked, "free frames after the end")
        checkDirectMap(&problems, 8)
        problems += host.checkInvariants(of: []).map(\.description)
        return problems
    }
}

extension ModelledMachine {
    func expectEqual<T: Equatable>(_ found: T, _ expected: T, _ what: String) -> [String] {
        found == expected ? [] : ["\(what): \(found), must be \(expected)"]
    }

    /// Takes over from the machine what the model cannot know.
    func settle() {
        for head in model.unsettled {
            guard let pfn = files[head.file].folios.frame(at: head.index) else { continue }
            model.settle(head, isLarge: emulated.machine.rmp.effectiveEntry(pfn)?.pageSize == .size2M)
        }
    }
}
