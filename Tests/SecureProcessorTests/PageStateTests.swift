// Commands by the state of a page they are given, from the table in Spec/.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Page states that firmware commands accept")
struct PageStateTests {
    static let states: [PageState] = [
        .hypervisor, .hypervisorFixed, .firmware, .reclaim, .context, .metadata, .preGuest, .preSwap, .guestInvalid,
        .guestValid, .firmwareIOMMU, .default, .invalid,
    ]
    static let abbreviations = ["HV", "HVF", "FW", "RCL", "CTX", "MD", "PG", "PS", "GI", "GV", "FWI", "DEF", "INVALID"]

    struct Row: Sendable, CustomTestStringConvertible {
        var command: String
        var operand: String
        var cells: [String]
        var testDescription: String { command + " " + operand }
    }
    static let rows: [Row] = ((try? specTable("firmware-page-states.tsv")) ?? []).map {
        Row(command: $0[0], operand: $0[1], cells: Array($0.dropFirst(2)))
    }

    /// An entry in a state, for a page of guest 5.
    static func entry(_ state: PageState, gfn: GFN) -> RMPEntry {
        let isGuest = [.preGuest, .preSwap, .guestInvalid, .guestValid].contains(state)
        var entry = RMPEntry(assigned: true, immutable: true)
        if isGuest { (entry.gfn, entry.asid) = (gfn, ASID(5)) }
        switch state {
        case .hypervisor, .default: entry = RMPEntry()
        case .hypervisorFixed: entry.assigned = false
        case .firmware, .preGuest: break
        case .reclaim, .guestInvalid: entry.immutable = false
        case .context: entry.vmsa = true
        case .metadata: entry.gfn = GFN(1 << 36 | 5)
        case .preSwap: entry.validated = true
        case .guestValid: (entry.validated, entry.immutable) = (true, false)
        case .firmwareIOMMU: entry.gfn = GFN(2 << 36 | 1)
        case .invalid: (entry.assigned, entry.validated) = (false, true)
        }
        return entry
    }

    @Test("the table has a cell for each of the 13 states, and the entries made here are in those states")
    func tableIsComplete() {
        #expect(Self.rows.count == 48)
        for row in Self.rows { #expect(row.cells.count == 13, "\(row.command)") }
        for state in Self.states where state != .default { #expect(Self.entry(state, gfn: GFN(9)).state == state) }
    }

    @Test("the status and the state afterwards are the table's", arguments: rows)
    func states(_ row: Row) throws {
        for (state, cell) in zip(Self.states, row.cells) {
            defer {
                SpecCoverage.hit(
                    "firmware-page-states.tsv", [row.command, row.operand] + row.cells, accepted: cell.hasPrefix(">"))
            }
            let scenario = try CommandScenario(row.command)
            let pfn = place(row, state, scenario)
            let before = scenario.platform.snapshot()
            let status = scenario.run()
            let after =
                scenario.platform.machine.rmp.covers(pfn) ? scenario.platform.machine.rmp.entry(pfn).state : .default
            if cell.hasPrefix(">") {
                #expect(status == scenario.expected, "\(row.testDescription) in \(state)")
                let expected = Self.abbreviations.firstIndex(of: String(cell.dropFirst())).map { Self.states[$0] }
                #expect(after == expected, "\(row.testDescription) in \(state)")
            } else {
                #expect(status.rawValue == UInt16(cell, radix: 16), "\(row.testDescription) in \(state)")
                #expect(after == state)
                if scenario.releasesBuffer, row.operand != "buffer" {
                    scenario.platform.setEntry(TestPage.command) { $0.immutable = true }
                }
                #expect(scenario.platform.snapshot() == before, "\(row.testDescription) in \(state)")
            }
        }
    }

    /// The page that a scenario has for an operand, and the word of the command's buffer that names it; 8 for a list's.
    static func operand(_ command: String, _ operand: String) -> (PFN, Int) {
        switch (command, operand) {
        case ("SNP_ACTIVATE_EX", "context"): (TestPage.context, 1)
        case ("SNP_DBG_DECRYPT", "source"): (TestPage.page, 1)
        case ("SNP_DBG_ENCRYPT", "source"): (TestPage.status, 1)
        case ("SNP_DBG_DECRYPT", "destination"): (TestPage.status, 2)
        case ("SNP_DBG_ENCRYPT", "destination"): (TestPage.page, 2)
        case ("SNP_PAGE_MD_INIT", "page"): (TestPage.status, 1)
        case ("SNP_PAGE_MOVE", "source"): (TestPage.page, 2)
        case ("SNP_PAGE_SWAP_OUT", "source"): (TestPage.page, 1)
        case ("SNP_PAGE_MOVE", "destination"): (TestPage.large, 3)
        case ("SNP_PAGE_SWAP_OUT", "destination"): (TestPage.status, 2)
        case ("SNP_PAGE_SWAP_IN", "source"): (TestPage.status, 1)
        case ("SNP_PAGE_SWAP_IN", "destination"): (TestPage.page, 2)
        case (_, "metadata"): (TestPage.agent, 3)
        case (_, "buffer"): (TestPage.command, 9)
        case (_, "iommu"): (TestPage.page, 10)
        case ("SEV_INIT", _): (TestPage.large, 1)
        case ("SEV_INIT_EX", _): (TestPage.large, 3)
        case ("SEV_GET_ID", _), ("SEV_PEK_CSR", _): (TestPage.status, 0)
        case ("SNP_VERIFY_MITIGATION", _): (TestPage.status, 4)
        case ("SNP_PAGE_SET_STATE", "page"): (TestPage.large, 8)
        case (_, "context"): (TestPage.context, 0)
        case (_, "agent"): (TestPage.agent, 2)
        case (_, "request"): (TestPage.request, 1)
        case (_, "response"): (TestPage.response, 2)
        case ("SNP_LAUNCH_UPDATE", "page"): (TestPage.page, 2)
        case ("SNP_PAGE_UNSMASH", "page"): (TestPage.large, 0)
        case (_, "page"): (TestPage.page, 0)
        case ("SNP_PLATFORM_STATUS", _): (TestPage.status, 0)
        default: (TestPage.status, 1)
        }
    }

    /// Brings the operand's page to a state, or the operand to a page that has it; returns the page.
    private func place(_ row: Row, _ state: PageState, _ scenario: CommandScenario) -> PFN {
        let (pfn, word) = Self.operand(row.command, row.operand)
        guard state != .default else {
            if row.operand == "buffer" {
                scenario.bufferPage = TestPage.uncovered
                return TestPage.uncovered
            }
            if row.operand == "iommu" {
                scenario.platform.machine.iommu.buffers = [TestPage.uncovered..<(TestPage.uncovered + 1)]
                scenario.platform.firmware.withFirmware { $0.iommuPages = [] }
                return TestPage.uncovered
            }
            guard word < 8 else {
                scenario.rangeList = RangeList([PageRange(base: TestPage.uncovered.address, pageCount: 4)])
                return TestPage.uncovered
            }
            scenario.buffer.words[word] = TestPage.uncovered.address.rawValue
            return TestPage.uncovered
        }
        let counts: [String: UInt64] = ["SNP_PAGE_UNSMASH": 512, "SEV_INIT": 512, "SEV_INIT_EX": 8]
        let count = counts[row.command] ?? 1
        for index in 0..<count {
            scenario.platform.machine.rmp.firmwareWrite(
                pfn + index, Self.entry(state, gfn: GFN(0x4_0000 + index)))
        }
        return pfn
    }
}
