// How to break each precondition of the paging commands.

import Machine
import SNPArchitecture

@testable import SecureProcessor

extension Violations {
    private static func insideRMP(_ index: Int) -> Violation {
        { $0.buffer.words[index] = $0.platform.machine.rmp.base.rawValue }
    }
    private static func entry(_ pfn: PFN, _ change: @escaping @Sendable (inout RMPEntry) -> Void) -> Violation {
        { $0.platform.setEntry(pfn, change) }
    }
    /// Changes the metadata entry as only firmware could.
    private static func metadata(_ change: @escaping @Sendable (inout MetadataEntry) -> Void) -> Violation {
        { scenario in
            scenario.platform.firmware.withFirmware { firmware in
                let place = TestPage.agent.address + 0x40
                var entry = MetadataEntry(decoding: firmware.memory.bytes(place, count: 64, key: firmware.contextKey))
                change(&entry)
                firmware.memory.store(entry.encoded, at: place, key: firmware.contextKey)
            }
        }
    }

    static let pagingCommands: [String: Violation] = [
        "SNP_PAGE_MOVE/source-outside-rmp": insideRMP(2),
        "SNP_PAGE_MOVE/destination-outside-rmp": insideRMP(3),
        "SNP_PAGE_SWAP_OUT/source-outside-rmp": insideRMP(1),
        "SNP_PAGE_SWAP_OUT/destination-outside-rmp": insideRMP(2),
        "SNP_PAGE_SWAP_IN/source-outside-rmp": insideRMP(1),
        "SNP_PAGE_SWAP_IN/destination-outside-rmp": insideRMP(2),
        "SNP_PAGE_MD_INIT/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_PAGE_MOVE/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_PAGE_SWAP_OUT/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_PAGE_SWAP_IN/guest-launching-or-running": { $0.changeGuest { $0.state = .initialized } },
        "SNP_PAGE_SWAP_OUT/metadata-outside-rmp": insideRMP(3),
        "SNP_PAGE_SWAP_OUT/metadata-aligned": { $0.buffer.words[3] |= 8 },
        "SNP_PAGE_SWAP_OUT/metadata-apart": { $0.buffer.words[3] = TestPage.page.address.rawValue + 0x40 },
        "SNP_PAGE_SWAP_OUT/metadata-page": entry(TestPage.agent) { $0.immutable = false },
        "SNP_PAGE_SWAP_OUT/metadata-owner": entry(TestPage.agent) { $0.gfn = GFN(1 << 36 | 9) },
        "SNP_PAGE_SWAP_IN/metadata-outside-rmp": insideRMP(3),
        "SNP_PAGE_SWAP_IN/metadata-aligned": { $0.buffer.words[3] |= 8 },
        "SNP_PAGE_SWAP_IN/metadata-apart": { $0.buffer.words[3] = TestPage.page.address.rawValue + 0x40 },
        "SNP_PAGE_SWAP_IN/metadata-page": entry(TestPage.agent) { $0.immutable = false },
        "SNP_PAGE_SWAP_IN/metadata-owner": entry(TestPage.agent) { $0.gfn = GFN(1 << 36 | 9) },
        "SNP_PAGE_MD_INIT/page-outside-rmp": insideRMP(1),
        "SNP_PAGE_MD_INIT/page-firmware": entry(TestPage.status) { $0.immutable = false },
        "SNP_PAGE_MOVE/source-size": entry(TestPage.page) { $0.pageSize = .size2M },
        "SNP_PAGE_MOVE/destination-size": entry(TestPage.large) { $0.pageSize = .size2M },
        "SNP_PAGE_MOVE/states-together": entry(TestPage.page) { $0.immutable = false },
        "SNP_PAGE_MOVE/source-owner": entry(TestPage.page) { $0.asid = ASID(6) },
        "SNP_PAGE_MOVE/destination-owner": entry(TestPage.large) { $0.asid = ASID(6) },
        "SNP_PAGE_SWAP_OUT/source-size": entry(TestPage.page) { $0.pageSize = .size2M },
        "SNP_PAGE_SWAP_OUT/destination-size": entry(TestPage.status) { $0.pageSize = .size2M },
        "SNP_PAGE_SWAP_OUT/page-type": { scenario in scenario.edit(PageSwapOutBuffer.self) { $0.pageType = 3 } },
        "SNP_PAGE_SWAP_OUT/source-state": entry(TestPage.page) { $0.immutable = false },
        "SNP_PAGE_SWAP_OUT/destination-state": entry(TestPage.status) { $0.immutable = false },
        "SNP_PAGE_SWAP_OUT/source-owner": entry(TestPage.page) { $0.asid = ASID(6) },
        "SNP_PAGE_MOVE/swap-allowed": { $0.changeGuest { $0.policy.insert(.pageSwapDisabled) } },
        "SNP_PAGE_SWAP_OUT/swap-allowed": { $0.changeGuest { $0.policy.insert(.pageSwapDisabled) } },
        "SNP_PAGE_SWAP_IN/swap-allowed": { $0.changeGuest { $0.policy.insert(.pageSwapDisabled) } },
        "SNP_PAGE_SWAP_OUT/counter-left": { $0.changeGuest { $0.oekCount = .max - 1 } },
        "SNP_PAGE_SWAP_IN/entry-valid": metadata { $0.isValid = false },
        "SNP_PAGE_SWAP_IN/entry-type": metadata { $0.isVMSA = true },
        "SNP_PAGE_SWAP_IN/source-size": { scenario in
            scenario.platform.setEntry(TestPage.status) { $0.pageSize = .size2M }
            scenario.buffer.words[1] = TestPage.status.address.rawValue
        },
        "SNP_PAGE_SWAP_IN/destination-size": entry(TestPage.page) { $0.pageSize = .size2M },
        "SNP_PAGE_SWAP_IN/entry-size": metadata { $0.pageSize = .size2M },
        "SNP_PAGE_SWAP_IN/in-place-one-page": { scenario in scenario.edit(PageSwapInBuffer.self) { $0.isInPlace = true }
        },
        "SNP_PAGE_SWAP_IN/destination-state": entry(TestPage.page) { $0.validated = true },
        "SNP_PAGE_SWAP_IN/destination-owner": entry(TestPage.page) { $0.asid = ASID(6) },
        "SNP_PAGE_SWAP_IN/source-mappable": { $0.buffer.words[1] = 1 << 60 },
        "SNP_PAGE_SWAP_IN/source-in-dram": { $0.buffer.words[1] = 512 << 20 },
        "SNP_PAGE_SWAP_IN/tag": metadata { $0.tag[15] ^= 1 },
    ]
}
