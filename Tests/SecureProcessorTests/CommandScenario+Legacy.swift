// Scenarios of the legacy SEV commands, on a platform where SNP is INIT.

import Machine
import SNPArchitecture

@testable import SecureProcessor

extension CommandScenario {
    /// Firmware writes the command's buffer back, and makes its page Reclaim.
    var releasesBuffer: Bool { LegacyCommandTable.row(for: command)?.buffer == .writtenAndChecked }

    func prepareLegacy() throws {
        // The page was written under the host's key before.
        platform.machine.memory.store([0], at: TestPage.command.address)
        if releasesBuffer {
            try platform.makeFirmware(TestPage.command)
            // With the lock bit, as firmware itself writes such an entry, so that a test can restore it exactly.
            platform.setEntry(TestPage.command) { $0.immutable = true }
        }
        let (status, large) = (TestPage.status.address, TestPage.large.address)
        switch command {
        case .sevInit:
            for index in 0..<512 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
            buffer = SEVInitBuffer(tmr: large, tmrByteCount: 2 << 20).bytes
        case .sevInitEx:
            for index in 0..<8 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
            buffer = SEVInitExBuffer(nv: large).bytes
        case .sevDFFlush: initializeLegacy()
        case .sevDownloadFirmware:
            image = FirmwareImage(product: .genoa, version: .minor(57), securityVersion: 24)
            buffer =
                SEVDownloadFirmwareBuffer(image: TestPage.idBlock.address, imageByteCount: imageByteCount).bytes
        case .sevGetID:
            try platform.makeFirmware(TestPage.status)
            buffer = SEVGetIDBuffer(address: status, length: 64).bytes
        case .sevPEKCSR:
            initializeLegacy()
            try platform.makeFirmware(TestPage.status)
            buffer = SEVCertificateRequestBuffer(address: status, length: 0x824).bytes
            expected = .unsupported
        case .sevPDHCertExport:
            initializeLegacy()
            try platform.makeFirmware(TestPage.status)
            for index in 0..<2 as Range<UInt64> { try platform.makeFirmware(TestPage.large + index) }
            buffer =
                SEVCertificateExportBuffer(certificate: status, length: 0x824, chain: large, chainLength: 0x186c).bytes
            expected = .unsupported
        default: break
        }
    }

    private func initializeLegacy() {
        platform.firmware.withFirmware { $0.legacy.state = .initialized }
    }
}
