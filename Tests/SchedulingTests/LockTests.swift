// Locks on real threads, conditions under both drivers, time and entropy.

import Scheduling
import Testing

private final class Shared: @unchecked Sendable {
    let lock = Lock(.slots)
    var value = 0
}

@Suite("Locks on real threads")
struct FreeLockTests {
    @Test("A lock excludes: no update is lost among four threads")
    func mutualExclusion() {
        let shared = Shared()
        FreeThreads.run(
            (0..<4).map { _ in
                { for _ in 0..<5_000 { shared.lock.withLock { shared.value += 1 } } }
            })
        #expect(shared.value == 20_000)
    }

    @Test("withLock passes on a value, an error of its own type, and releases the lock in both cases")
    func typedThrows() {
        struct Refused: Error, Equatable {}
        let lock = Lock(.slots)
        #expect(lock.withLock { 7 } == 7)
        do throws(Refused) {
            try lock.withLock { () throws(Refused) in throw Refused() }
            Issue.record("no error")
        } catch {
            #expect(error == Refused())
        }
        #expect(lock.withLock { 8 } == 8)
    }

    #if DEBUG
        @Test("In debug builds a real thread that takes a lock out of order stops the program")
        func orderIsCheckedOnRealThreads() async {
            await #expect(processExitsWith: .failure) {
                let slots = Lock(.slots)
                let allocator = Lock(.allocator)
                allocator.withLock { slots.withLock {} }
            }
            await #expect(processExitsWith: .success) {
                let slots = Lock(.slots)
                let allocator = Lock(.allocator)
                slots.withLock { allocator.withLock {} }
            }
        }
    #endif

    @Test("A real thread waits for a condition that another makes true")
    func condition() {
        let shared = Shared()
        let changed = Condition(shared.lock)
        FreeThreads.run([
            { shared.lock.withLock { changed.wait { shared.value == 3 } } },
            {
                for _ in 0..<3 {
                    shared.lock.withLock {
                        shared.value += 1
                        changed.wakeAll()
                    }
                }
            },
        ])
        #expect(shared.value == 3)
    }

    @Test("A wait with a deadline ends by itself")
    func deadline() {
        let lock = Lock(.slots)
        let never = Condition(lock)
        let start = HostClock.now
        let woken = lock.withLock { never.wait(deadline: start.advanced(byNanoseconds: 2_000_000)) }
        #expect(!woken)
        #expect(HostClock.now >= start.advanced(byNanoseconds: 2_000_000))
    }
}

@Suite("Waiting on explored threads")
struct ExploredWaitTests {
    @Test("A bounded buffer keeps order and loses nothing in every schedule")
    func boundedBuffer() {
        for seed in UInt64(1)...200 {
            let explorer = Explorer(seed: seed)
            let lock = Lock(.slots)
            let changed = Condition(lock)
            var buffer: [Int] = []
            var received: [Int] = []
            explorer.spawn("producer") {
                for item in 0..<8 {
                    lock.withLock {
                        changed.wait { buffer.count < 2 }
                        buffer.append(item)
                        changed.wakeAll()
                    }
                }
            }
            explorer.spawn("consumer") {
                while received.count < 8 {
                    lock.withLock {
                        changed.wait { !buffer.isEmpty }
                        received.append(buffer.removeFirst())
                        changed.wakeAll()
                    }
                }
            }
            #expect(explorer.run() == .completed)
            #expect(received == Array(0..<8))
        }
    }

    @Test("A wait that nobody ends is a deadlock; the lock is free meanwhile")
    func lostWakeup() {
        let explorer = Explorer(seed: 1)
        let lock = Lock(.slots)
        let never = Condition(lock)
        var otherRan = false
        explorer.spawn("waiter") { lock.withLock { never.wait() } }
        explorer.spawn("other") { lock.withLock { otherRan = true } }
        #expect(explorer.run() == .deadlock("waiter waits for a condition under slots"))
        #expect(otherRan)
    }

    @Test("Virtual time jumps to the earliest deadline once every thread waits")
    func virtualTime() {
        for seed in UInt64(1)...20 {
            let explorer = Explorer(seed: seed)
            var log: [String] = []
            let lock = Lock(.slots)
            let never = Condition(lock)
            explorer.spawn("hour") {
                HostClock.sleep(nanoseconds: 3_600_000_000_000)
                log.append("hour \(HostClock.now.nanoseconds)")
            }
            explorer.spawn("second") {
                let woken = lock.withLock { never.wait(deadline: HostInstant(nanoseconds: 1_000_000_000)) }
                log.append("second \(HostClock.now.nanoseconds) \(woken)")
            }
            #expect(explorer.run() == .completed)
            #expect(log == ["second 1000000000 false", "hour 3600000000000"])
        }
    }
}

@Suite("Entropy")
struct EntropyTests {
    @Test("A seed gives the published sequence of xoshiro256** after SplitMix64")
    func knownSequence() {
        var source = EntropySource(seed: 0)
        #expect(
            (0..<3).map { _ in source.next() } == [0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0])
    }

    @Test("Bytes are the words in little-endian order, and a split source is another sequence")
    func bytes() {
        var words = EntropySource(seed: 9)
        var bytes = EntropySource(seed: 9)
        let expected = [words.next(), words.next()].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) }
        }
        #expect(bytes.bytes(count: 11) == Array(expected.prefix(11)))
        var parent = EntropySource(seed: 1)
        var child = parent.split()
        #expect(parent.next() != child.next())
    }
}
