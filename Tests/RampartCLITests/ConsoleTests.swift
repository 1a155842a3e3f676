// Interrupts and input of a guest, end to end on the processor, and the keys that are not the guest's.

import Monitor
import Rampart
import Testing

@testable import RampartCLI

/// A console that types what a test says.
private final class TypingConsole: GuestConsole {
    let isInteractive: Bool
    private var inputs: [ConsoleInput]
    private(set) var text: [UInt8] = []
    private(set) var waits: [Duration?] = []

    init(_ inputs: [ConsoleInput], isInteractive: Bool) {
        self.inputs = inputs
        self.isInteractive = isInteractive
    }

    func write(_ byte: UInt8) { text.append(byte) }
    func read(waiting limit: Duration?) -> ConsoleInput {
        waits.append(limit)
        return inputs.isEmpty ? .end : inputs.removeFirst()
    }
}

@Suite("Consoles and interrupts of guests")
struct ConsoleTests {
    private func request(_ text: String = "", vcpus: Int = 2, isTraced: Bool = false) throws -> RunRequest {
        RunRequest(
            program: .bundled(.ticks), memory: try ByteSize(parsing: "64M"), vcpuCount: vcpus, commandLine: text,
            timeLimit: 120, isTraced: isTraced)
    }

    @Test(
        "interrupts of every kind reach a guest, under each personality and policy",
        arguments: ["kvm", "kvm2026", "strict"], ["eager", "lazy"])
    func interrupts(_ personality: String, _ policy: String) {
        let outcome = RampartCommand.execute([
            "run", "--guest", "ticks", "--personality", personality, "--policy", policy, "--json",
        ])
        #expect(outcome.status == .good, "\(outcome.output.suffix(2000))")
        #expect(!outcome.output.contains("WRONG"))
        for line in [
            "ok    interrupts behind it: 0x2", "ok    ticks after three halts: 0x4",
            "ok    ticks of the interval timer in HLT: 0x3", "ok    periods of the real-time clock: 0x2",
            "ok    NMIs when the guest is through with it: 0x2", "ok    an NMI reaches it", "ticks: done",
        ] { #expect(outcome.output.contains(line), "\(line)") }
    }

    @Test("two runs of it give the same trace, byte for byte, with input too")
    func determinism() throws {
        for text in ["", "echo"] {
            let traces = try (0..<2).map { _ in
                let console = TypingConsole([.bytes(Array("hi\n".utf8))], isInteractive: false)
                return try runGuest(try request(text, vcpus: 3, isTraced: true), console: console).trace
            }
            #expect(traces[0].utf8.count > 1000)
            #expect(traces[0] == traces[1])
        }
    }

    @Test(
        "input comes by the serial line's interrupt, typed or from a stream; a stream is asked only when the guest waits"
    )
    func input() throws {
        let stream = TypingConsole([.bytes(Array("Hello, guest\nrest".utf8))], isInteractive: false)
        let report = try runGuest(request("echo"), console: stream)
        #expect(report.ending == .exited(0))
        #expect(String(decoding: stream.text, as: UTF8.self).contains("you said: Hello, guest\n"))
        #expect(stream.waits.count == 1)

        let person = TypingConsole(
            [.nothing, .nothing, .bytes([0x68]), .nothing, .bytes([0x69, 0x0d])], isInteractive: true)
        #expect(try runGuest(request("echo"), console: person).ending == .exited(0))
        #expect(String(decoding: person.text, as: UTF8.self).contains("you said: hi\n"))

        let silent = TypingConsole([], isInteractive: false)
        #expect(try runGuest(request(), console: silent).ending == .exited(0))
        #expect(silent.waits.isEmpty, "a guest that takes no input keeps nobody waiting")
    }

    @Test("a stream that ends leaves the guest halted; a user may end it")
    func ends() throws {
        let ended = TypingConsole([.bytes([0x41]), .end], isInteractive: false)
        #expect(try runGuest(request("echo"), console: ended).ending == .halted)
        let quit = TypingConsole([.nothing, .quit], isInteractive: true)
        #expect(try runGuest(request("echo"), console: quit).ending == .quit)
    }

    @Test("Ctrl-A begins what is not the guest's")
    func escapeKeys() {
        var keys = EscapeKeys()
        #expect(keys.take([0x61, 0x03, 0x0d]) == .bytes([0x61, 0x03, 0x0d]), "Ctrl-C is the guest's")
        #expect(keys.take([1]) == .bytes([]))
        #expect(keys.take([0x78]) == .quit)
        #expect(keys.take([0x62, 1, 0x68, 0x63]) == .help([0x62, 0x63]))
        #expect(keys.take([1, 0x63]) == .help([]))
        #expect(keys.take([1, 1, 1, 0x71, 0x78]) == .bytes([1, 0x78]))
    }
}
