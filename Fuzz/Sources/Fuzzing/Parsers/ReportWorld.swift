// The target `report`: attestation reports, certificate tables, ID blocks and certificates, good ones with anything changed.

internal import Attestation
internal import SNPArchitecture

/// A report, table or block that is changed byte by byte and read again.
public final class ReportWorld: ScenarioWorld {
    private var bytes: [UInt8] = []
    private var found: String?

    init() { restore() }

    /// Forgets the bytes.
    public func restore() {
        bytes = Self.report(0)
        found = nil
    }

    /// What reading has found.
    public func problem() -> String? { found }

    private static func report(_ number: UInt64) -> [UInt8] {
        let versions = AttestationReportVersion.allCases
        var report = AttestationReport(
            version: versions[Int(number % UInt64(versions.count))], policy: .standard,
            measurement: [UInt8](repeating: 0x3c, count: 48))
        report.vmpl = 1
        return report.encoded
    }

    private static let table: [UInt8] = {
        var bytes = [UInt8](repeating: 0, count: 256)
        for (index, byte) in [0x63 as UInt8, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64].enumerated() {
            bytes[index] = byte
        }
        bytes[16] = 96
        bytes[20] = 64
        return bytes
    }()

    static var operations: [Operation<ReportWorld>] {
        [
            Operation("report", [.number("version")]) { world, a in world.bytes = report(a[0]) },
            Operation("table", []) { world, _ in world.bytes = table },
            Operation("zeros", [.number("count", 2)]) { world, a in
                world.bytes = [UInt8](repeating: 0, count: Int(a[0] & 0x1fff))
            },
            Operation("set", [.number("offset", 2), .number("value", 8)]) { world, a in
                for byte in 0..<8 where Int(a[0]) + byte < world.bytes.count {
                    world.bytes[Int(a[0]) + byte] = UInt8(truncatingIfNeeded: a[1] >> UInt64(byte * 8))
                }
            },
            Operation("append", [.number("value", 8)]) { world, a in
                guard world.bytes.count < 0x4000 else { return }
                world.bytes += withUnsafeBytes(of: a[0].littleEndian) { Array($0) }
            },
            Operation("cut", [.number("count", 2)]) { world, a in
                world.bytes.removeLast(min(Int(a[0]), world.bytes.count))
            },
            Operation("read-report", []) { world, _ in world.readReport() },
            Operation("read-table", []) { world, _ in
                _ = try CertificateTable(decoding: world.bytes).encoded
            },
            Operation("read-certificate", []) { world, _ in _ = try Certificate(der: world.bytes) },
            Operation("read-certificates", []) { world, _ in _ = try Certificate.all(contents: world.bytes) },
            Operation("read-revocations", []) { world, _ in _ = try RevocationList(der: world.bytes) },
            Operation("read-id-block", []) { world, _ in
                let padded = world.bytes + [UInt8](repeating: 0, count: 96 + 4096)
                _ = try SignedIDBlock(
                    verifying: IDBlock(decoding: Array(padded[..<96])),
                    IDAuthentication(decoding: Array(padded[96..<96 + 4096])))
            },
        ]
    }

    /// A report that can be read says the same when it is written and read again, and policies judge it.
    private func readReport() {
        guard let report = try? AttestationReport(decoding: bytes) else { return }
        let again = try? AttestationReport(decoding: report.encoded)
        if again != report { found = "a report reads differently after it was written" }
        for product in AttestationProduct.allCases { _ = ReportPolicy().refusals(of: report, product: product) }
    }
}
