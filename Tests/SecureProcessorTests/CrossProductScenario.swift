// Scenarios of the cross product: a command whose operands are pages that may have any state and size.

import Machine
import SNPArchitecture

@testable import SecureProcessor

/// A scenario of a rule in which every check holds, and the hands to break them.
struct CrossProductScenario {
    let rule: CrossProductRule
    let scenario: CommandScenario
    /// The operand's page and the word of the buffer that names it.
    let page: PFN
    private let word: Int
    private var platform: TestPlatform { scenario.platform }

    init(_ rule: CrossProductRule) throws {
        self.rule = rule
        scenario = try CommandScenario(rule.command)
        let (page, word) = PageStateTests.operand(rule.command, rule.operand)
        self.word = word
        let isPaging = ["SNP_PAGE_MOVE", "SNP_PAGE_SWAP_OUT", "SNP_PAGE_SWAP_IN"].contains(rule.command)
        let staysPut = ["context", "agent", "metadata"].contains(rule.operand) || word == 8
        if isPaging {
            self.page =
                ["source": TestPage.operand, "destination": TestPage.second, "metadata": TestPage.third][rule.operand]
                ?? page
            try preparePaging()
        } else {
            self.page = staysPut || rule.command == "SNP_PAGE_UNSMASH" ? page : TestPage.operand
        }
        try prepareVariant()
        if !rule.hasGuest { try platform.makeGuest(TestPage.agent, asid: nil) }
    }

    private func prepareVariant() throws {
        if rule.command == "SNP_LAUNCH_UPDATE" {
            scenario.edit(LaunchUpdateBuffer.self) {
                $0.pageSize = rule.size
                if rule.special == "vmsa" { $0.pageType = .vmsa }
            }
            if rule.operand == "context" { scenario.edit(LaunchUpdateBuffer.self) { $0.pageSize = .size4K } }
        }
    }

    /// A page of a guest, of the rule's size, and what it becomes where the rule is about metadata.
    private func entry(_ state: PageState) -> RMPEntry { Self.entry(state, rule.size) }

    static func entry(_ state: PageState, _ size: PageSize) -> RMPEntry {
        var entry = PageStateTests.entry(state, gfn: GFN(0x4_0000))
        entry.pageSize = size
        if state == .metadata { entry.gfn = Firmware.metadataTag(TestPage.context) }
        return entry
    }

    /// Puts source, destination and metadata on pages of their own, in the states that the rule's variant wants.
    private func preparePaging() throws {
        let (context, source) = (TestPage.context.address, TestPage.operand.address)
        let (other, metadata) = (TestPage.second.address, TestPage.third.address + 0x40)
        let rmp = platform.machine.rmp
        let isMetadata = rule.special == "metadata"
        let data: PageState = isMetadata ? .metadata : rule.special == "validated" ? .preSwap : .preGuest
        let type: UInt8 = isMetadata ? 1 : rule.special == "vmsa" ? 2 : 0
        try platform.makeFirmware(TestPage.third)
        try platform.require(platform.run(PageMDInitBuffer(context: context, page: TestPage.third.address)))
        rmp.firmwareWrite(TestPage.operand, entry(data))
        if rule.command == "SNP_PAGE_MOVE" {
            rmp.firmwareWrite(TestPage.second, entry(isMetadata ? .firmware : .preGuest))
            var move = PageMoveBuffer(context: context, source: source, destination: other)
            move.pageSize = rule.size
            scenario.buffer = move.bytes
            return
        }
        rmp.firmwareWrite(TestPage.second, entry(.firmware))
        var out = PageSwapOutBuffer(context: context, source: source, destination: other, metadata: metadata)
        (out.pageSize, out.pageType, out.usesRootEntry) = (rule.size, type, rule.special == "root")
        scenario.buffer = out.bytes
        guard rule.command == "SNP_PAGE_SWAP_IN" else { return }
        // Out from the first page to the second; in, the first is the source and the second the destination.
        try platform.require(platform.run(out))
        rmp.firmwareWrite(TestPage.operand, entry(.firmware))
        copy(TestPage.second, to: TestPage.operand)
        rmp.firmwareWrite(TestPage.second, entry(isMetadata ? .firmware : .preGuest))
        var into = PageSwapInBuffer(context: context, source: source, destination: other, metadata: metadata)
        (into.pageSize, into.pageType, into.usesRootEntry) = (rule.size, type, rule.special == "root")
        scenario.buffer = into.bytes
    }

    private func copy(_ from: PFN, to pfn: PFN) {
        let memory = platform.machine.memory
        for index in 0..<rule.size.pageCount {
            memory.store(memory.bytes((from + index).address, count: 4096), at: (pfn + index).address)
        }
    }

    /// Brings the guest into a condition.
    func set(_ condition: GuestCondition) {
        let pfn = rule.hasGuest ? TestPage.context : TestPage.agent
        guard let state = condition.state else {
            platform.firmware.withFirmware { $0.guests[pfn] = nil }
            platform.machine.rmp.firmwareWrite(pfn, Violations.firmwareEntry)
            return
        }
        platform.firmware.withFirmware { firmware in
            guard var guest = firmware.guests[pfn] else { return }
            guest.state = state
            guest.activation = condition.activation
            guest.asid = guest.activation == .inactive ? .host : ASID(5)
            if guest.activation == .inactive { guest.keyID = nil }
            if guest.activation != .inactive, guest.keyID == nil {
                guest.keyID = firmware.memory.encryption.installKey(guest.vek, for: ASID(5))
            }
            firmware.guests[pfn] = guest
        }
    }

    /// Brings the operand's page to a state, or the operand to a page that has it; returns what takes it back.
    func place(_ state: PageState, _ size: PageSize) -> () -> Void {
        let rmp = platform.machine.rmp
        if state == .default {
            if rule.command == "SNP_PAGE_SWAP_IN", rule.operand == "source" { copy(page, to: TestPage.uncovered) }
            let (buffer, list) = (scenario.buffer, scenario.rangeList)
            if word == 8 {
                scenario.rangeList = RangeList([PageRange(base: TestPage.uncovered.address, pageCount: 4)])
            } else {
                name(TestPage.uncovered)
            }
            return { (scenario.buffer, scenario.rangeList) = (buffer, list) }
        }
        let pages = (0..<(rule.command == "SNP_PAGE_UNSMASH" ? 512 : 1) as Range<UInt64>).map { page + $0 }
        let old = pages.map { rmp.entry($0) }
        for (index, pfn) in pages.enumerated() {
            var entry = Self.entry(state, size)
            if entry.asid != .host { entry.gfn = GFN(entry.gfn.rawValue + UInt64(index)) }
            rmp.firmwareWrite(pfn, entry)
        }
        if word < 8 { name(page) }
        return { for (pfn, entry) in zip(pages, old) { rmp.firmwareWrite(pfn, entry) } }
    }

    /// Makes a page the command's operand.
    private func name(_ pfn: PFN) {
        let offset: UInt64 = rule.operand == "metadata" ? 0x40 : 0
        let flag: UInt64 = rule.command == "SNP_PAGE_RECLAIM" && rule.size == .size2M ? 1 : 0
        scenario.buffer.words[word] = pfn.address.rawValue + offset | flag
    }

    /// The frames that the command may change when it succeeds.
    var mayChange: [PFN] {
        switch rule.command {
        case "SNP_PAGE_UNSMASH": (0..<512).map { page + $0 }
        case "SNP_PAGE_SET_STATE": (0..<4).map { page + $0 }
        case "SNP_PAGE_MOVE": [TestPage.operand, TestPage.second, page]
        case "SNP_PAGE_SWAP_OUT": [TestPage.operand]
        case "SNP_PAGE_SWAP_IN": [TestPage.second]
        case "SNP_LAUNCH_UPDATE": [page, TestPage.page]
        case "SNP_PAGE_MD_INIT": [page, TestPage.status]
        case _: [page]
        }
    }

    /// The state of the operand's page.
    func state(_ point: ProductPoint) -> PageState {
        point.state == .default ? .default : platform.machine.rmp.entry(page).state
    }

    /// How often each 2 MiB region of the RMP has changed.
    var generations: [UInt32] {
        stride(from: 0, to: platform.machine.rmp.coveredFrameCount, by: 512).map {
            platform.machine.rmp.generation(of: PFN($0))
        }
    }

    /// The entries of all regions that scenarios use.
    var entries: [RMPEntryRaw] {
        (0x800..<0x1600 as Range<UInt64>).map { platform.machine.rmp.rawEntry(PFN($0)) }
    }
}
