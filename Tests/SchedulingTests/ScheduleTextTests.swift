// Recorded schedules as text, and made simpler.

import Scheduling
import Testing

@Suite("Recorded schedules")
struct ScheduleTextTests {
    @Test("Text and back gives the schedule without its last zeros")
    func roundTrip() throws {
        var entropy = EntropySource(seed: 7)
        for round in 0..<300 {
            let codes = (0..<Int(entropy.next() % 200)).map { _ in
                entropy.next() % 4 == 0 ? UInt8(entropy.next() % (round % 3 == 0 ? 63 : 3)) : 0
            }
            let text = ScheduleText.encode(codes)
            let decoded = try #require(ScheduleText.decode(text))
            let last = codes.lastIndex { $0 != 0 }
            #expect(decoded == Array(codes[..<(last.map { $0 + 1 } ?? 0)]))
            #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "'") })
        }
    }

    @Test("A schedule with three preemptions among a thousand points is eight letters or fewer")
    func short() {
        var codes = [UInt8](repeating: 0, count: 1000)
        for place in [20, 140, 700] { codes[place] = 1 }
        #expect(ScheduleText.encode(codes).count <= 8)
        #expect(ScheduleText.encode([]) == "")
    }

    @Test("What is no schedule is refused", arguments: ["!", "A", "__________________", "gA", "Aw", "AB "])
    func refused(text: String) {
        #expect(ScheduleText.decode(text) == nil)
    }

    @Test("A lost update in a long random run is minimised to one pick that matters")
    func minimize() throws {
        func problem(_ codes: [UInt8]) -> (String?, [UInt8]) {
            let program = TinyProgram(ReplaySchedule(codes)) { program in
                for name in ["a", "b"] {
                    program.explorer.spawn(name) { [unowned program] in
                        for _ in 0..<30 { schedulePoint(.rmpRead) }
                        let read = program.value
                        schedulePoint(.rmpRead)
                        program.value = read + 1
                        for _ in 0..<30 { schedulePoint(.rmpRead) }
                    }
                }
                program.check = { [unowned program] in program.value == 2 ? nil : "lost" }
            }
            return (program.run(), program.explorer.trace)
        }
        var long: [UInt8] = []
        for seed in 0..<500 as Range<UInt64> where long.isEmpty {
            var entropy = EntropySource(seed: seed)
            let codes = (0..<120).map { _ in UInt8(entropy.next() >> 63) }
            if problem(codes).0 != nil { long = codes }
        }
        try #require(long.count { $0 != 0 } > 10)
        var minimizer = ScheduleMinimizer()
        let short = minimizer.minimize(long) { problem($0).0 == "lost" }
        #expect(problem(short).0 == "lost")
        #expect(short.count { $0 != 0 } <= 3, "\(short)")
        #expect(minimizer.runCount < 500)
        // Nothing that is left can go.
        for place in short.indices where short[place] != 0 {
            var without = short
            without[place] = 0
            #expect(problem(without).0 == nil)
        }
    }

    @Test("The log of changes undoes writes, names the last writer, and tells states apart by their contents alone")
    func changeLog() {
        let log = ChangeLog()
        #expect(log.count == 0)
        log.begin()
        noteChange()
        #expect(log.changeCount == 1)
        log.end()
        noteChange()
        #expect(log.changeCount == 1)
    }
}
