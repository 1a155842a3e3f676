// What a guest sees of each attack of a hostile host, and that its private memory keeps its promise under all of them.

import Foundation
import Machine
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor
@testable import ScriptedGuest

@Suite("A hostile host")
struct HostileHostTests {
    /// A script of Scripts/hostile, and the attacks that its first line names.
    struct Attacked: Sendable, CustomTestStringConvertible {
        var name: String
        var text: String
        var hostility: Hostility
        var testDescription: String { name }

        init?(_ file: URL) {
            guard let text = try? String(contentsOf: file, encoding: .utf8),
                let line = text.split(separator: "\n").first, line.hasPrefix("# attacks: ")
            else { return nil }
            name = file.deletingPathExtension().lastPathComponent
            self.text = text
            hostility = Hostility([], interval: 1)
            for word in line.dropFirst("# attacks: ".count).split(separator: " ") {
                if word.hasPrefix("target=0x"), let gpa = UInt64(word.dropFirst(9), radix: 16) {
                    hostility.target = GPA(gpa).frame
                } else if let attack = HostileAttack(rawValue: String(word)) {
                    hostility.attacks.insert(attack)
                } else {
                    return nil
                }
            }
        }

        func machine(convertsOnFault: Bool = true) throws -> ScriptedMachine {
            try ScriptedMachine(
                try GuestScript(text: text), try GuestScript(text: ""), personality: .hostile(hostility),
                convertsOnFault: convertsOnFault)
        }
    }

    static let scripts: [Attacked] = {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Scripts/hostile")
        let found = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
        return found.sorted { $0.path < $1.path }.compactMap(Attacked.init)
    }()

    private func script(_ name: String) throws -> Attacked { try #require(Self.scripts.first { $0.name == name }) }

    @Test("every attack has a script that is named as it is")
    func complete() {
        #expect(Set(Self.scripts.map(\.name)) == Set(HostileAttack.allCases.map(\.rawValue)))
        for script in Self.scripts { #expect(script.hostility.attacks.contains { $0.rawValue == script.name }) }
    }

    @Test("the guest sees of each attack what its script says, and no private page reads otherwise", arguments: scripts)
    func sees(_ script: Attacked) throws {
        let machine = try script.machine()
        machine.driveAll()
        #expect(machine.failures == [])
        #expect(machine.processors[0].isFinished)
        let record = try #require(machine.vm.hostileRecord)
        for attack in script.hostility.attacks { #expect(record.counts[attack, default: 0] > 0, "\(attack)") }
        #expect(record.corruptions == [])
        #expect(machine.violations == [])
        machine.vm.destroy()
        #expect(machine.host.checkInvariants(of: []) == [])
        #expect(machine.host.leaked.count == 0)
    }

    @Test("each lie is one: the guest finds another value than an honest host gives")
    func lies() throws {
        let (honest, lying) = (GHCBPersonality.kvm2026, GHCBPersonality.hostile(try script("lie-info").hostility))
        let (truth, lies) = try (
            ScriptedMachine(try GuestScript(text: try script("lie-info").text), personality: honest),
            ScriptedMachine(try GuestScript(text: try script("lie-info").text), personality: lying)
        )
        #expect(truth.drive() == [.halted] && lies.drive() == [.halted])
        for step in 0..<3 { #expect(truth.outcomes()[step] != lies.outcomes()[step], "request \(step)") }
        func answer(_ machine: ScriptedMachine) -> [UInt64] {
            [.exitInfo1, .exitInfo2].map { machine.processors[0].buffer[$0] }
        }
        #expect(answer(truth) == [2, 6] && answer(lies) != [2, 6])
        for name in ["lie-cpuid", "lie-registers"] {
            let machine = try script(name).machine()
            machine.drive()
            #expect(machine.processors[0].buffer[.rax] != 0 && machine.processors[0].buffer[.rdx] != 0, "\(name)")
        }
        let machine = try script("lie-cpuid").machine()
        machine.drive()
        #expect(machine.outcomes()[2] != .msr(5), "function 0x80000000, EAX")
    }

    @Test("a conversion that was only claimed leaves the guest at a fault that the host alone sees")
    func claimed() throws {
        let machine = try script("claim-conversion").machine(convertsOnFault: false)
        let fault = UserExit.memoryFault(
            gpa: GPA(0x150_0000), byteCount: 4096, isPrivate: true, errno: .badAddress)
        #expect(machine.drive().last == fault)
        #expect(machine.drive().last == fault, "and there it stays")
        #expect(machine.processors[0].position == 3 && machine.failures == [])
    }

    @Test("an alias costs the guest an exit and nothing else")
    func alias() throws {
        let machine = try script("alias").machine()
        machine.drive()
        let reads = machine.processors[0].transcript.results.filter { $0.step == 6 || $0.step == 8 }
        #expect(reads.count == 2 && reads.allSatisfy { $0.exits > 0 && $0.outcome == .done })
    }

    @Test("a lost processor stays where it was; one with a wrong VMSA cannot be entered")
    func processors() throws {
        let ends: [(String, UserExit)] = [("lose-processor", .halted), ("wrong-vmsa", .failEntry(.invalid))]
        for (name, end) in ends {
            let machine = try ScriptedMachine(
                try GuestScript(text: try script(name).text), try GuestScript("touch 0x1006000 private write"),
                personality: .hostile(try script(name).hostility))
            #expect(machine.drive() == [.halted] && machine.failures == [])
            #expect(machine.cpus[1].run() == end, "\(name)")
            #expect(machine.processors[1].position == 0)
        }
    }

    @Test("a guest that accepts a page twice reads what it once wrote, and the record says so")
    func acceptedTwice() throws {
        let machine = try ScriptedMachine(
            try GuestScript(
                "pvalidate 0x1000000 x2 2M validate", "write 0x1005000 private \"first\"", "msr 0x80 -> 0x3081",
                "msr 0x80 -> 0x3081", "pvalidate 0x1005000 4K validate", "write 0x1005000 private \"other\"",
                "msr 0x80 -> 0x3081", "read 0x1005000 private \"first\""),
            personality: .hostile(Hostility([.remap, .swapBack], interval: 1, target: GFN(0x1005))))
        machine.drive()
        #expect(machine.failures == [])
        let record = try #require(machine.vm.hostileRecord)
        #expect(record.corruptions == ["swap-back: guest frame 0x1005 reads with other contents than the guest wrote"])
    }

    @Test("one seed, one behaviour; another seed, another")
    func determinism() throws {
        func run(_ seed: UInt64) throws -> ([StepOutcome], [HostileAttack: UInt64]) {
            let machine = try ScriptedMachine(
                try Self.carefulGuest(seed: 1), continuesAfterFailure: true,
                personality: .hostile(Hostility(seed: seed, interval: 3)))
            machine.drive(limit: 300)
            return (machine.outcomes(), machine.vm.hostileRecord?.counts ?? [:])
        }
        let (one, same, other) = (try run(7), try run(7), try run(8))
        #expect(one == same)
        #expect(one.0 != other.0 && one.1 != other.1)
        #expect(one.1.count > 5)
    }

    /// A guest that accepts each page once, writes and reads, shares pages and takes them back, and asks in between.
    static func carefulGuest(seed: UInt64) throws -> GuestScript {
        var random = EntropySource(seed: seed)
        var lines = ["pvalidate 0x1000000 x1024 4K validate", "msr 0x1400012 -> 0x1400013", "ghcb 0x1400000"]
        var contents: [UInt64: String] = [:]
        for step in 0..<60 {
            let page = 0x1000 + random.next() % 6
            let gpa = "0x\(String(page, radix: 16))000"
            switch random.next() % 5 {
            case 0:
                contents[page] = "\"contents_\(step)\""
                lines.append("write \(gpa) private \(contents[page] ?? "")")
            case 1, 2: if let held = contents[page] { lines.append("read \(gpa) private \(held)") }
            case 3: lines.append("vmgexit HV_FEATURES -> info1=0 info2=3")
            default:
                lines += [
                    "pvalidate \(gpa) 4K rescind", "psc \(gpa) 4K shared", "write \(gpa) shared \"shared\"",
                    "psc \(gpa) 4K private", "pvalidate \(gpa) 4K validate",
                ]
                contents[page] = nil
            }
        }
        return try GuestScript(text: lines.joined(separator: "\n"))
    }

    @Test("whatever the host does, a careful guest reads from private memory what it wrote, or nothing")
    func integrity() throws {
        var ends: [String: Int] = [:]
        var attacks: [HostileAttack: UInt64] = [:]
        for seed in 0..<UInt64(6 * HostileScale.factor) {
            let only: Set<HostileAttack> = [.unassign, .remap, .swapBack, .alias, .changeShared, .claimConversion]
            let hostility = Hostility(
                seed % 2 == 0 ? only : Set(HostileAttack.allCases), seed: seed, interval: 2 + seed % 7,
                target: seed % 4 < 2 ? GFN(0x1000 + seed % 6) : nil)
            let machine = try ScriptedMachine(
                try Self.carefulGuest(seed: seed), policy: seed % 3 == 0 ? LazyPolicy() : EagerPolicy(),
                personality: .hostile(hostility))
            machine.drive(limit: 500)
            for failure in machine.processors[0].transcript.failures {
                let step = machine.processors[0].script.steps[Int(failure.step)]
                if case .read(_, .private, _) = step.operation {
                    #expect(failure.outcome == .exception(.pageNotValidated), "seed \(seed): \(machine.failures)")
                }
            }
            let record = try #require(machine.vm.hostileRecord)
            #expect(record.corruptions == [], "seed \(seed)")
            #expect(machine.violations == [], "seed \(seed)")
            attacks.merge(record.counts) { $0 + $1 }
            ends[machine.processors[0].transcript.failures.isEmpty ? "unharmed" : "noticed", default: 0] += 1
        }
        // Both ends are met, and every attack on memory.
        #expect(ends.count == 2, "\(ends)")
        for attack in [.unassign, .remap, .swapBack, .alias, .changeShared, .claimConversion] as [HostileAttack] {
            #expect(attacks[attack, default: 0] > 3, "\(attack): \(attacks)")
        }
    }
}

/// How many times as many random runs; see RAMPART_TEST_SCALE.
enum HostileScale {
    static let factor = ProcessInfo.processInfo.environment["RAMPART_TEST_SCALE"].flatMap(Int.init) ?? 1
}
