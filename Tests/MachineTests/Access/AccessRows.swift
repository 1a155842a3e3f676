// The rows of Spec/access-checks.tsv.

import Foundation
import Machine
import SNPArchitecture
import Testing

/// One row.
struct AccessRow: Sendable, CustomTestStringConvertible {
    var id: String
    var accessor: String
    var kind: String
    var cBit: CBit
    var vmpl: VMPL
    var privilege: GuestPrivilege
    var mapping: String
    var rmp: String
    var expected: String
    var rule: String
    /// The whole row.
    var fields: [String]
    var testDescription: String { "\(id): \(rule)" }

    static let all: [AccessRow] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../Spec/access-checks.tsv")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") }.dropFirst()
        return lines.map { line in
            let field = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            precondition(field.count == 10, "ten columns: \(line)")
            return AccessRow(
                id: field[0], accessor: field[1], kind: field[2], cBit: field[3] == "private" ? .private : .shared,
                vmpl: VMPL(rawValue: UInt8(field[4]) ?? 0) ?? .vmpl0,
                privilege: field[5] == "user" ? .user : .supervisor,
                mapping: field[6], rmp: field[7], expected: field[8], rule: field[9], fields: field)
        }
    }()

    var accessKind: AccessKind {
        switch kind {
        case "read": .read
        case "write", "walk": .write
        case "execute": .execute
        case _: preconditionFailure("kind \(kind)")
        }
    }
}

/// The words of the expected column.
enum AccessResult {
    private static let names: [(String, PageFaultError)] = [
        ("P", .present), ("W", .write), ("U", .user), ("RSV", .reserved), ("ID", .instructionFetch), ("RMP", .rmp),
        ("FINAL", .finalAddress), ("WALK", .guestPageTable), ("ENC", .encrypted), ("SIZEM", .sizeMismatch),
        ("VMPL", .vmpl),
    ]

    static func describe(_ prefix: String, _ error: PageFaultError) -> String {
        let known = names.reduce(into: PageFaultError()) { $0.formUnion($1.1) }
        precondition(error.isSubset(of: known), "a bit without a name")
        return prefix + names.filter { error.contains($0.1) }.map(\.0).sorted().joined(separator: ",")
    }

    /// A row's expected column with its bits in order.
    static func sorted(_ expected: String) -> String {
        guard let colon = expected.firstIndex(of: ":") else { return expected }
        let bits = expected[expected.index(after: colon)...].split(separator: ",").sorted().joined(separator: ",")
        return expected[...colon] + bits
    }
}
