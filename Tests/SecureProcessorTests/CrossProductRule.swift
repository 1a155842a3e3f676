// A row of Spec/firmware-cross-product.tsv, and what it says of one point of the product.

import SNPArchitecture
import Testing

@testable import SecureProcessor

/// What has become of the guest when the command comes.
enum GuestCondition: String, CaseIterable, Sendable {
    case none, initial, launching, launchingPending, runningInactive, running

    var state: GuestState? {
        switch self {
        case .none: nil
        case .initial: .initialized
        case .launching, .launchingPending: .launching
        case .runningInactive, .running: .running
        }
    }
    var activation: Activation {
        switch self {
        case .launchingPending: .pending
        case .running: .active
        case _: .inactive
        }
    }
    /// As the table writes the state.
    var abbreviation: String {
        switch state {
        case .launching: "LAUNCH"
        case .running: "RUNNING"
        case .initialized: "INIT"
        case _: ""
        }
    }
}

/// One point: the operand's page and the guest.
struct ProductPoint: Sendable, CustomStringConvertible {
    var state: PageState
    var size: PageSize
    var guest: GuestCondition
    var description: String { "\(state) \(size) guest \(guest)" }
    /// The state as the table writes it.
    var abbreviation: String { PageStateTests.abbreviations[PageStateTests.states.firstIndex(of: state) ?? 0] }

    /// All of them; a page without an entry has no size.
    static let all: [ProductPoint] = GuestCondition.allCases.flatMap { guest in
        PageStateTests.states.flatMap { state in
            [PageSize.size4K, .size2M].compactMap { size in
                state == .default && size == .size2M ? nil : ProductPoint(state: state, size: size, guest: guest)
            }
        }
    }
}

struct CrossProductRule: Sendable, CustomTestStringConvertible {
    struct Check: Sendable {
        var name: String
        var list: [String]
        var status: FirmwareStatus
    }
    /// The row as the table has it.
    var row: [String]
    var command: String { row[0] }
    var variant: String { row[1] }
    var operand: String { row[2] }
    var checks: [Check]
    var after: [String: String]
    var testDescription: String { row[..<3].joined(separator: " ") }

    /// The size that the command says.
    var size: PageSize { variant.hasPrefix("2M") ? .size2M : .size4K }
    /// What follows the size in the variant.
    var special: String { variant.split(separator: "-").dropFirst().joined() }
    /// The command names a guest.
    var hasGuest: Bool { checks.contains { $0.name == "context" } }

    /// nil unless every word is one that the table's head explains.
    init?(_ row: [String]) {
        guard row.count == 5 else { return nil }
        self.row = row
        checks = []
        for word in row[3].split(separator: " ") {
            let halves = word.split(separator: ":")
            guard halves.count == 2, let status = UInt16(halves[1], radix: 16) else { return nil }
            let parts = halves[0].split(separator: "=")
            let name = String(parts[0])
            guard Self.names.contains(name), (parts.count == 2) == ["state", "guest"].contains(name) else { return nil }
            let list = parts.count == 2 ? parts[1].split(separator: ",").map(String.init) : []
            checks.append(Check(name: name, list: list, status: FirmwareStatus(rawValue: status)))
        }
        after = [:]
        for word in row[4].split(separator: " ") where word != "-" {
            let halves = word.split(separator: ">").map(String.init)
            guard halves.count == 2, halves.allSatisfy(PageStateTests.abbreviations.contains) else { return nil }
            after[halves[0]] = halves[1]
        }
    }

    private static let names = [
        "context", "state", "present", "size", "size-if-present", "4k", "guest", "active", "inactive", "owner",
        "other-owner", "never",
    ]

    static let all: [CrossProductRule?] = ((try? specTable("firmware-cross-product.tsv")) ?? []).map {
        CrossProductRule($0)
    }

    /// The first check that a point does not meet.
    func refusal(_ point: ProductPoint) -> FirmwareStatus? { checks.first { !holds($0, point) }?.status }

    private func holds(_ check: Check, _ point: ProductPoint) -> Bool {
        let hasASID = point.guest.activation != .inactive
        switch check.name {
        case "context": return point.guest != .none && (operand != "context" || point.state == .context)
        case "state": return check.list.contains(point.abbreviation)
        case "present": return point.state != .default
        case "size": return point.state != .default && point.size == size
        case "size-if-present": return point.state == .default || point.size == size
        case "4k": return point.state == .default || point.size == .size4K
        case "guest": return check.list.contains(point.guest.abbreviation)
        case "active", "other-owner": return hasASID
        case "inactive": return !hasASID
        case "owner":
            return hasASID == [.preGuest, .preSwap, .guestInvalid, .guestValid].contains(point.state)
        case _: return false
        }
    }
}
