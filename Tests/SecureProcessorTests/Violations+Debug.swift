// How to break each precondition of the debug commands, SNP_PAGE_SET_STATE, SNP_ACTIVATE_EX and SNP_VLEK_LOAD.

import Machine
import SNPArchitecture

@testable import SecureProcessor

extension Violations {
    private static func word(_ index: Int, _ value: UInt64) -> Violation { { $0.buffer.words[index] = value } }
    private static func insideRMP(_ index: Int) -> Violation {
        { $0.buffer.words[index] = $0.platform.machine.rmp.base.rawValue }
    }
    private static let unmappable: UInt64 = 1 << 60
    private static let pastDRAM: UInt64 = 512 << 20
    private static let noDebug: Violation = { $0.changeGuest { $0.policy.remove(.debugAllowed) } }
    /// Makes the page at word `index` the named one again, and changes its entry.
    private static func entry(
        _ index: Int, _ pfn: PFN, _ change: @escaping @Sendable (inout RMPEntry) -> Void
    ) -> Violation {
        { scenario in
            scenario.platform.setEntry(pfn, change)
            scenario.buffer.words[index] = pfn.address.rawValue
        }
    }

    static let debugCommands: [String: Violation] = [
        "SNP_DBG_DECRYPT/source-outside-rmp": insideRMP(1),
        "SNP_DBG_DECRYPT/destination-outside-rmp": insideRMP(2),
        "SNP_DBG_DECRYPT/source-guest-page": entry(1, TestPage.page) { $0 = RMPEntry() },
        "SNP_DBG_DECRYPT/destination-firmware": entry(2, TestPage.status) { $0.immutable = false },
        "SNP_DBG_DECRYPT/source-owner": entry(1, TestPage.page) { $0.asid = ASID(6) },
        "SNP_DBG_DECRYPT/debug-allowed": noDebug,
        "SNP_DBG_ENCRYPT/source-outside-rmp": insideRMP(1),
        "SNP_DBG_ENCRYPT/destination-outside-rmp": insideRMP(2),
        "SNP_DBG_ENCRYPT/destination-guest-page": entry(2, TestPage.page) { $0.immutable = false },
        "SNP_DBG_ENCRYPT/destination-owner": entry(2, TestPage.page) { $0.asid = ASID(6) },
        "SNP_DBG_ENCRYPT/debug-allowed": noDebug,
        "SNP_DBG_ENCRYPT/source-mappable": word(1, unmappable),
        "SNP_DBG_ENCRYPT/source-in-dram": word(1, pastDRAM),
    ]

    private static func list(_ change: @escaping @Sendable (inout RangeList) -> Void) -> Violation {
        { scenario in
            guard var list = scenario.rangeList else { return }
            change(&list)
            scenario.rangeList = list
        }
    }

    private static func record(_ record: ASIDRecord) -> Violation {
        { scenario in
            let asid = ActivateExBuffer(bytes: scenario.buffer).asid
            scenario.platform.firmware.withFirmware { $0.asids[asid] = record }
        }
    }
    private static func asid(_ asid: ASID) -> Violation {
        { scenario in scenario.edit(ActivateExBuffer.self) { $0.asid = asid } }
    }

    static let listCommands: [String: Violation] = [
        "SNP_PAGE_SET_STATE/length": { scenario in scenario.edit(PageSetStateBuffer.self) { $0.length = 0x11 } },
        "SNP_PAGE_SET_STATE/list-mappable": word(1, unmappable),
        "SNP_PAGE_SET_STATE/list-in-dram": word(1, pastDRAM),
        "SNP_PAGE_SET_STATE/list-count": list { $0.count = 256 },
        "SNP_PAGE_SET_STATE/list-reserved": list { $0.reserved = 1 },
        "SNP_PAGE_SET_STATE/range-reserved": list { $0.ranges[0].reserved = 1 },
        "SNP_PAGE_SET_STATE/range-aligned": list { $0.ranges[0].base = (TestPage.large + 1).address },
        "SNP_PAGE_SET_STATE/range-ends": list {
            $0.ranges[0] = PageRange(base: SPA(~0x1f_ffff), pageCount: 0x201)
        },
        "SNP_PAGE_SET_STATE/outside-rmp": { scenario in
            scenario.rangeList?.ranges[0] = PageRange(base: scenario.platform.machine.rmp.base, pageCount: 1)
        },
        "SNP_PAGE_SET_STATE/all-firmware": { $0.platform.setEntry(TestPage.large + 3) { $0.vmsa = true } },
        "SNP_PAGE_SET_STATE/all-4k": { $0.platform.setEntry(TestPage.large + 3) { $0.pageSize = .size2M } },
        "SNP_ACTIVATE_EX/length": { scenario in scenario.edit(ActivateExBuffer.self) { $0.length = 0x10 } },
        "SNP_ACTIVATE_EX/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_ACTIVATE_EX/count-not-zero": { scenario in scenario.edit(ActivateExBuffer.self) { $0.count = 0 } },
        "SNP_ACTIVATE_EX/count-at-most-1024": { scenario in scenario.edit(ActivateExBuffer.self) { $0.count = 1025 } },
        "SNP_ACTIVATE_EX/asid-below-2048": asid(ASID(2048)),
        "SNP_ACTIVATE_EX/asid-without-pages": { scenario in
            let asid = ActivateExBuffer(bytes: scenario.buffer).asid
            scenario.changeGuest { $0.activation = .inactive }
            try? scenario.platform.assign(TestPage.page, asid, at: GPA(0x1000))
        },
        "SNP_ACTIVATE_EX/list-mappable": word(3, unmappable),
        "SNP_ACTIVATE_EX/list-in-dram": word(3, pastDRAM),
        "SNP_ACTIVATE_EX/cores-exist": { $0.coreList = [0, 4] },
        "SNP_ACTIVATE_EX/asid-has-key": asid(ASID(1007)),
        "SNP_ACTIVATE_EX/guest-has-no-other": { $0.changeGuest { ($0.activation, $0.asid) = (.pending, ASID(7)) } },
        "SNP_ACTIVATE_EX/asid-unowned": record(ASIDRecord(allocated: 1)),
        "SNP_ACTIVATE_EX/asid-not-dirty": record(ASIDRecord(dirty: 1)),
        "SNP_ACTIVATE_EX/asid-clean": record(ASIDRecord()),
        "SNP_ACTIVATE_EX/asid-for-snp": asid(ASID(100)),
        "SNP_VLEK_LOAD/length": { scenario in scenario.edit(VLEKLoadBuffer.self) { $0.length = 0x18 } },
        "SNP_VLEK_LOAD/version": { scenario in scenario.edit(VLEKLoadBuffer.self) { $0.version = 1 } },
        "SNP_VLEK_LOAD/wrapped-mappable": word(1, unmappable),
        "SNP_VLEK_LOAD/wrapped-in-dram": word(1, pastDRAM),
        "SNP_VLEK_LOAD/tcb-reported": { $0.wrappedKey?[0x190] ^= 1 },
        "SNP_VLEK_LOAD/tag": { $0.wrappedKey?[0x1af] ^= 1 },
    ]
}
