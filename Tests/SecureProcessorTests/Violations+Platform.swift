// How to break each precondition of the commands that replace firmware, verify mitigations, or belong to legacy SEV.

import Machine
import SNPArchitecture

@testable import SecureProcessor

extension Violations {
    private static func word(_ index: Int, _ value: UInt64) -> Violation { { $0.buffer.words[index] = value } }
    private static func bits(_ index: Int, _ value: UInt64) -> Violation { { $0.buffer.words[index] |= value } }
    /// Sets the 32 bits at a byte offset.
    private static func half(_ offset: Int, _ value: UInt32) -> Violation {
        { $0.buffer[offset, as: UInt32.self] = value }
    }
    private static func firmware(_ change: @escaping @Sendable (inout Firmware) -> Void) -> Violation {
        { $0.platform.firmware.withFirmware(change) }
    }
    private static func image(_ change: @escaping @Sendable (inout FirmwareImage) -> Void) -> Violation {
        { scenario in
            guard var image = scenario.image else { return }
            change(&image)
            scenario.image = image
            // An image's size depends on what it says of itself.
            if scenario.command == .snpDownloadFirmwareEx {
                scenario.buffer[0x10, as: UInt32.self] = scenario.imageByteCount
            } else {
                scenario.buffer[0x08, as: UInt32.self] = scenario.imageByteCount
            }
        }
    }
    /// Makes a page no longer firmware's, and the operand at a word that page again.
    private static func lost(_ index: Int, _ pfn: PFN) -> Violation {
        { scenario in
            scenario.platform.setEntry(pfn) { $0.immutable = false }
            scenario.buffer.words[index] = pfn.address.rawValue
        }
    }
    private static let unmappable: UInt64 = 1 << 60
    private static let pastDRAM: UInt64 = 512 << 20

    /// Shared by all commands.
    static let platformStates: [String: Violation] = [
        "sev-uninit": firmware { $0.legacy.state = .initialized },
        "sev-init": firmware { $0.legacy.state = .uninitialized },
        "iommu-in-dram": { $0.platform.machine.iommu.buffers = [PFN(0x2_0000)..<PFN(0x2_0001)] },
        "iommu-host-pages": { scenario in
            scenario.platform.machine.iommu.buffers = [PFN(0xa0)..<PFN(0xa1)]
        },
        "buffer-page-state": { $0.platform.setEntry(TestPage.command) { $0.immutable = false } },
        "image-signed": { $0.imageIsSpoiled = true },
        "image-product": image { $0.product = .siena },
        "image-version-committed": image { $0.version = .minor(54) },
        "image-svn-committed": image { $0.securityVersion = 22 },
    ]

    static let replacementCommands: [String: Violation] = [
        "SNP_INIT_EX/max-snp-asid": { scenario in scenario.edit(InitExBuffer.self) { $0.maximumSNPASID = 100 } },
        "SNP_DOWNLOAD_FIRMWARE_EX/image-aligned": bits(1, 16),
        "SNP_DOWNLOAD_FIRMWARE_EX/image-length": half(0x10, 0x24f),
        "SNP_DOWNLOAD_FIRMWARE_EX/image-at-most-256K": half(0x10, 0x4_0001),
        "SNP_DOWNLOAD_FIRMWARE_EX/image-mappable": word(1, unmappable),
        "SNP_DOWNLOAD_FIRMWARE_EX/image-in-dram": word(1, pastDRAM),
        "SEV_DOWNLOAD_FIRMWARE/image-aligned": bits(0, 16),
        "SEV_DOWNLOAD_FIRMWARE/image-length": half(0x08, 0),
        "SEV_DOWNLOAD_FIRMWARE/image-mappable": word(0, unmappable),
        "SEV_DOWNLOAD_FIRMWARE/image-in-dram": word(0, pastDRAM),
        "SNP_VERIFY_MITIGATION/length": half(0, 0x3f),
        "SNP_VERIFY_MITIGATION/subcommand": { scenario in
            scenario.edit(VerifyMitigationBuffer.self) { $0.subcommand = 2 }
        },
        "SNP_VERIFY_MITIGATION/destination-within-page": bits(4, 0xff0),
        "SNP_VERIFY_MITIGATION/destination-outside-rmp": { scenario in
            scenario.buffer.words[4] = scenario.platform.machine.rmp.base.rawValue
        },
        "SNP_VERIFY_MITIGATION/destination-page-state": lost(4, TestPage.status),
        "SNP_VERIFY_MITIGATION/destination-mappable": word(4, unmappable),
        "SNP_VERIFY_MITIGATION/destination-in-dram": word(4, pastDRAM),
        "SNP_VERIFY_MITIGATION/source-mappable": word(3, unmappable),
        "SNP_VERIFY_MITIGATION/source-in-dram": word(3, pastDRAM),
        "SNP_VERIFY_MITIGATION/vector-not-empty": word(1, 0),
        "SNP_VERIFY_MITIGATION/vector-supported": word(1, 1 << 40),
    ]

    static let legacyCommands: [String: Violation] = [
        "SEV_INIT/rmp-initialized": firmware { $0.rmpTCB = nil },
        "SEV_INIT/tmr-length": half(0x10, 1 << 20),
        "SEV_INIT/tmr-aligned": bits(1, 0x1000),
        "SEV_INIT/tmr-mappable": word(1, unmappable),
        "SEV_INIT/tmr-in-dram": word(1, pastDRAM),
        "SEV_INIT/tmr-page-state": lost(1, TestPage.large),
        "SEV_INIT_EX/length": half(0, 0x20),
        "SEV_INIT_EX/rmp-initialized": firmware { $0.rmpTCB = nil },
        "SEV_INIT_EX/nv-length": half(0x20, 16 << 10),
        "SEV_INIT_EX/nv-aligned": bits(3, 0x10),
        "SEV_INIT_EX/nv-mappable": word(3, unmappable),
        "SEV_INIT_EX/nv-in-dram": word(3, pastDRAM),
        "SEV_INIT_EX/nv-page-state": { scenario in
            scenario.platform.setEntry(TestPage.large + 7) { $0.immutable = false }
            scenario.buffer.words[3] = TestPage.large.address.rawValue
        },
        "SEV_GET_ID/room": half(0x08, 63),
        "SEV_GET_ID/output-mappable": word(0, unmappable),
        "SEV_GET_ID/output-in-dram": word(0, pastDRAM),
        "SEV_GET_ID/output-page-state": lost(0, TestPage.status),
        "SEV_PEK_CSR/room": half(0x08, 0),
        "SEV_PEK_CSR/output-mappable": word(0, unmappable),
        "SEV_PEK_CSR/output-page-state": lost(0, TestPage.status),
        "SEV_PDH_CERT_EXPORT/room": half(0x08, 0x823),
        "SEV_PDH_CERT_EXPORT/chain-room": half(0x18, 0x186b),
        "SEV_PDH_CERT_EXPORT/certificate-mappable": word(0, unmappable),
        "SEV_PDH_CERT_EXPORT/certificate-page-state": lost(0, TestPage.status),
        "SEV_PDH_CERT_EXPORT/chain-mappable": word(2, unmappable),
        "SEV_PDH_CERT_EXPORT/chain-page-state": { scenario in
            scenario.platform.setEntry(TestPage.large + 1) { $0.immutable = false }
            scenario.buffer.words[2] = TestPage.large.address.rawValue
        },
    ]
}
