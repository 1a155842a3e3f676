// Every precondition of every command, from the table in Spec/: alone, and together with each later one.

import Machine
import SNPArchitecture
import Testing

@testable import SecureProcessor

@Suite("Preconditions of firmware commands")
struct PreconditionTests {
    /// The commands of the table, each with its preconditions in order.
    static let table: [(command: String, preconditions: [(name: String, status: FirmwareStatus)])] = {
        var result: [(command: String, preconditions: [(name: String, status: FirmwareStatus)])] = []
        for row in (try? specTable("firmware-preconditions.tsv")) ?? [] where row.count == 3 {
            let status =
                FirmwareStatus.named.first { $0.name == row[2] }?.status
                ?? FirmwareStatus(rawValue: UInt16(row[2].dropFirst(2), radix: 16) ?? 0xffff)
            if result.last?.command != row[0] { result.append((row[0], [])) }
            result[result.count - 1].preconditions.append((row[1], status))
        }
        return result
    }()

    @Test("the table names known commands and statuses, and every way to break something is used")
    func tableIsComplete() {
        #expect(Self.table.count == 39 && Self.table.reduce(0) { $0 + $1.preconditions.count } > 100)
        var used: Set<String> = []
        for (command, preconditions) in Self.table {
            #expect((FirmwareCommand.named + FirmwareCommand.legacyNamed).contains { $0.name == command })
            for (name, status) in preconditions {
                #expect(status.rawValue < 0x100, "\(command) \(name)")
                #expect(Violations.find(command, name) != nil, "\(command) \(name)")
                used.formUnion([name, command + "/" + name])
            }
        }
        #expect(Violations.allKeys.subtracting(used) == [])
    }

    private static func hit(_ command: String, _ name: String, _ status: FirmwareStatus, accepted: Bool) {
        // Statuses without a name stand in the table as numbers.
        let number = "0x" + String(status.rawValue, radix: 16, uppercase: true)
        let name = [command, name, FirmwareStatus.named.first { $0.status == status }?.name ?? number]
        SpecCoverage.hit("firmware-preconditions.tsv", name, accepted: accepted)
    }

    @Test("succeeds when every precondition holds", arguments: table.map(\.command))
    func success(_ command: String) throws {
        let scenario = try CommandScenario(command)
        #expect(scenario.run() == scenario.expected)
        for (name, status) in Self.table.first(where: { $0.command == command })?.preconditions ?? [] {
            Self.hit(command, name, status, accepted: true)
        }
    }

    @Test("a failed precondition gives its status and changes nothing", arguments: table.map(\.command))
    func single(_ command: String) throws {
        for (name, status) in Self.table.first(where: { $0.command == command })?.preconditions ?? [] {
            let scenario = try CommandScenario(command)
            Violations.find(command, name)?(scenario)
            let before = scenario.platform.snapshot()
            #expect(scenario.run() == status, "\(command): \(name)")
            if scenario.releasesBuffer, status != Firmware.bufferPageState {
                // The one change of a refused command: its buffer is no longer firmware's.
                #expect(scenario.platform.machine.rmp.entry(TestPage.command).state == .reclaim)
                scenario.platform.setEntry(TestPage.command) { $0.immutable = true }
            }
            #expect(scenario.platform.snapshot() == before, "\(command): \(name)")
            Self.hit(command, name, status, accepted: false)
        }
    }

    @Test("of two failed preconditions the earlier one gives the status", arguments: table.map(\.command))
    func pairs(_ command: String) throws {
        let preconditions = Self.table.first { $0.command == command }?.preconditions ?? []
        for (index, earlier) in preconditions.enumerated() {
            for later in preconditions[(index + 1)...] where later.status != earlier.status {
                let scenario = try CommandScenario(command)
                Violations.find(command, later.name)?(scenario)
                Violations.find(command, earlier.name)?(scenario)
                #expect(scenario.run() == earlier.status, "\(command): \(earlier.name), then \(later.name)")
            }
        }
    }
}
