// The fields of a report as text and as JSON.

import Attestation
import Rampart
import SNPArchitecture

extension AttestationReport {
    /// Every field for a person, in the report's order.
    func text(_ layout: TCBLayout) -> String {
        func tcb(_ version: TCBVersion) -> String {
            "\(version.components(layout).text(layout))  (0x\(String(version.rawValue, radix: 16)))"
        }
        var rows: [(String, String)] = [
            ("version", String(version.rawValue)), ("guest SVN", String(guestSVN)), ("policy", policy.text),
            ("family id", hexadecimal(familyID)), ("image id", hexadecimal(imageID)), ("VMPL", String(vmpl)),
            ("signature", signatureText), ("current TCB", tcb(currentTCB)), ("platform", platformInfo.text),
            ("author key", authorKeyEnabled ? "signed the ID key" : "none"),
            ("chip key masked", chipKeyMasked ? "yes" : "no"), ("report data", hexadecimal(reportData)),
            ("measurement", hexadecimal(measurement)), ("host data", hexadecimal(hostData)),
            ("ID key digest", hexadecimal(idKeyDigest)), ("author digest", hexadecimal(authorKeyDigest)),
            ("report id", hexadecimal(reportID)), ("agent's id", agentText), ("reported TCB", tcb(reportedTCB)),
        ]
        if let processor { rows.append(("processor", processor.text)) }
        rows += [
            ("chip id", chipID.contains { $0 != 0 } ? hexadecimal(chipID) : "masked"),
            ("committed TCB", tcb(committedTCB)), ("firmware", currentFirmware.text),
            ("committed", committedFirmware.text), ("launch TCB", tcb(launchTCB)),
        ]
        if let launchMitigations { rows.append(("at launch", "mitigations 0x\(String(launchMitigations, radix: 16))")) }
        if let currentMitigations { rows.append(("now", "mitigations 0x\(String(currentMitigations, radix: 16))")) }
        rows += [
            ("r", hexadecimal(signature.r.reversed())), ("s", hexadecimal(signature.s.reversed())),
        ]
        return rows.map { padded($0.0, to: 17) + $0.1 + "\n" }.joined()
    }

    private var signatureText: String {
        let algorithm = signatureAlgorithm == 1 ? "ECDSA P-384 with SHA-384" : "unknown algorithm \(signatureAlgorithm)"
        return switch signingKey {
        case .vcek: "\(algorithm), by the VCEK"
        case .vlek: "\(algorithm), by the VLEK"
        case .none: "none"
        }
    }

    private var agentText: String {
        reportIDMA.allSatisfy { $0 == 0xff } ? "no migration agent" : hexadecimal(reportIDMA)
    }

    /// Every field for a program.
    func json(_ layout: TCBLayout) -> JSON {
        func tcb(_ version: TCBVersion) -> JSON {
            let raw: (String, JSON) = ("raw", .string("0x" + String(version.rawValue, radix: 16)))
            return .object([raw] + version.components(layout).json(layout))
        }
        func hex(_ bytes: [UInt8]) -> JSON { .string(hexadecimal(bytes)) }
        return .object([
            ("version", .unsigned(UInt64(version.rawValue))), ("guestSVN", .unsigned(UInt64(guestSVN))),
            ("policy", .string("0x" + String(policy.rawValue, radix: 16))),
            ("debugAllowed", .boolean(policy.contains(.debugAllowed))),
            ("smtAllowed", .boolean(policy.contains(.smtAllowed))), ("familyID", hex(familyID)),
            ("imageID", hex(imageID)),
            ("vmpl", .unsigned(UInt64(vmpl))), ("signatureAlgorithm", .unsigned(UInt64(signatureAlgorithm))),
            ("currentTCB", tcb(currentTCB)),
            ("platformInfo", .string("0x" + String(platformInfo.rawValue, radix: 16))),
            ("authorKeyEnabled", .boolean(authorKeyEnabled)), ("chipKeyMasked", .boolean(chipKeyMasked)),
            ("signingKey", .string("\(signingKey)")), ("reportData", hex(reportData)),
            ("measurement", hex(measurement)),
            ("hostData", hex(hostData)), ("idKeyDigest", hex(idKeyDigest)), ("authorKeyDigest", hex(authorKeyDigest)),
            ("reportID", hex(reportID)), ("reportIDMA", hex(reportIDMA)), ("reportedTCB", tcb(reportedTCB)),
            ("processor", processor?.json ?? .null), ("chipID", hex(chipID)), ("committedTCB", tcb(committedTCB)),
            ("currentFirmware", .string(currentFirmware.text)), ("committedFirmware", .string(committedFirmware.text)),
            ("launchTCB", tcb(launchTCB)), ("launchMitigations", launchMitigations.map { .unsigned($0) } ?? .null),
            ("currentMitigations", currentMitigations.map { .unsigned($0) } ?? .null),
            ("signatureR", hex(signature.r.reversed())), ("signatureS", hex(signature.s.reversed())),
        ])
    }
}

extension GuestPolicy {
    /// The policy in words.
    var text: String {
        var parts = [
            "ABI \(abiMajor).\(abiMinor) or later", contains(.smtAllowed) ? "SMT allowed" : "no SMT",
            contains(.debugAllowed) ? "DEBUGGING ALLOWED" : "no debugging",
            contains(.migrationAgentAllowed) ? "migration agent allowed" : "no migration agent",
        ]
        let others: [(GuestPolicy, String)] = [
            (.singleSocket, "one socket"), (.cxlAllowed, "CXL allowed"), (.memoryAES256XTS, "AES-256-XTS"),
            (.raplDisabled, "no RAPL"), (.ciphertextHiding, "ciphertext hiding"), (.pageSwapDisabled, "no page swap"),
        ]
        parts += others.filter { contains($0.0) }.map(\.1)
        return "0x\(String(rawValue, radix: 16)): " + parts.joined(separator: ", ")
    }
}

extension ReportPlatformInfo {
    /// The flags in words.
    var text: String {
        let names: [(ReportPlatformInfo, String)] = [
            (.smtEnabled, "SMT on"), (.tsmeEnabled, "TSME on"), (.eccEnabled, "ECC on"), (.raplDisabled, "RAPL off"),
            (.ciphertextHiding, "ciphertext hiding"), (.aliasCheckComplete, "alias check complete"),
            (.trustedIO, "trusted I/O"),
        ]
        let found = names.filter { contains($0.0) }.map(\.1)
        return "0x\(String(rawValue, radix: 16))" + (found.isEmpty ? "" : ": " + found.joined(separator: ", "))
    }
}

extension ReportedFirmwareVersion {
    var text: String { "\(major).\(minor).\(build)" }
}

extension ReportedProcessor {
    var text: String {
        let name = product.map { ", \($0.rawValue)'s line" } ?? ", not known"
        return "family 0x\(String(family, radix: 16)) model 0x\(String(model, radix: 16)) stepping \(stepping)\(name)"
    }
    var json: JSON {
        .object([
            ("family", .integer(Int(family))), ("model", .integer(Int(model))), ("stepping", .integer(Int(stepping))),
            ("product", product.map { .string($0.rawValue) } ?? .null),
        ])
    }
}
