// The words that `rampart report` and `rampart certs` accept as values.

import ArgumentParser
import Attestation
import Rampart
import SNPArchitecture

extension ProductName {
    init(argument: String) throws {
        guard let product = ProductName(rawValue: argument.lowercased()) else {
            let names = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw CommandFailure.usage("the product is unknown. Use one of \(names).")
        }
        self = product
    }
}

extension AttestationReportVersion {
    init(argument: String) throws {
        guard let number = UInt32(argument), let version = Self(rawValue: number), version != .v4 else {
            throw CommandFailure.usage("no firmware makes reports of this version. Use 2, 3 or 5.")
        }
        self = version
    }
}

extension CertificateTime {
    init(argument: String) throws {
        guard let time = CertificateTime(parsing: argument) else {
            throw CommandFailure.usage("not a time. Write 2026-06-01, 2026-06-01T12:30:00Z or seconds since 1970.")
        }
        self = time
    }
}

/// Levels of a TCB as users write them: bl=3,tee=0,snp=8,ucode=115, or the 64 bits as one number.
struct TCBArgument {
    /// The levels by part.
    var levels: [TCBPart: UInt8] = [:]
    /// The 64 bits, if that is what was written.
    var number: UInt64?

    private static let names: [String: TCBPart] = [
        "fmc": .fmc, "fmcspl": .fmc, "bl": .bootLoader, "bootloader": .bootLoader, "blspl": .bootLoader, "tee": .tee,
        "teespl": .tee, "snp": .snp, "snpspl": .snp, "ucode": .microcode, "microcode": .microcode,
        "ucodespl": .microcode,
    ]

    init(argument: String) throws {
        if let number = unsignedInteger(argument) {
            self.number = number
            return
        }
        for item in argument.split(separator: ",", omittingEmptySubsequences: false) {
            let halves = item.split(separator: "=", omittingEmptySubsequences: false)
            guard halves.count == 2, let part = Self.names[halves[0].lowercased()] else {
                throw CommandFailure.usage("not levels of a TCB. Write bl=3,tee=0,snp=8,ucode=115.")
            }
            guard let level = UInt8(halves[1]) else {
                throw CommandFailure.usage("\(halves[1]) is not a level. Use 0 to 255.")
            }
            guard levels.updateValue(level, forKey: part) == nil else {
                throw CommandFailure.usage("\(halves[0]) is given twice.")
            }
        }
    }

    /// The levels in a product line's layout; parts that are not named are 0.
    func components(_ layout: TCBLayout) -> TCBComponents {
        if let number { return TCBVersion(rawValue: number).components(layout) }
        return TCBComponents(
            fmc: levels[.fmc] ?? 0, bootLoader: levels[.bootLoader] ?? 0, tee: levels[.tee] ?? 0,
            snp: levels[.snp] ?? 0, microcode: levels[.microcode] ?? 0)
    }
}

extension TCBComponents {
    /// The levels in words; FMC only where the product has one.
    func text(_ layout: TCBLayout) -> String {
        TCBPart.allCases.filter { $0 != .fmc || layout == .turin }
            .map { "\($0.rawValue) \($0.level(in: self))" }.joined(separator: ", ")
    }

    /// The levels for a program.
    func json(_ layout: TCBLayout) -> [(String, JSON)] {
        let parts: [(String, UInt8)] = [
            ("fmc", fmc), ("bootLoader", bootLoader), ("tee", tee), ("snp", snp), ("microcode", microcode),
        ]
        return parts.filter { $0.0 != "fmc" || layout == .turin }.map { ($0.0, .integer(Int($0.1))) }
    }
}
