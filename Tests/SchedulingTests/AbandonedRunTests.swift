// What is left of threads that a failed run gives up: no stacks, and no open accesses in the runtime's chain.

import CPlatform
import Scheduling
import Testing

/// Not copyable, so that a call on it through a class keeps a read access open for as long as the call runs.
private struct Table: ~Copyable {
    var value = 0
    borrowing func waitInside() -> Int {
        schedulePoint(.yield)
        return value
    }
}

private final class Owner {
    var table = Table()
    var other = 0
}

@Suite("Abandoned runs", .serialized)
struct AbandonedRunTests {
    @Test("The stacks of abandoned threads are given back")
    func stacksAreGivenBack() {
        let before = cp_coroutine_stacks_in_use()
        for seed in UInt64(1)...200 {
            let explorer = Explorer(seed: seed)
            for number in 0..<4 {
                explorer.spawn("t\(number)") {
                    schedulePoint(.yield)
                    if number == 2 { explorer.fail("stop") }
                    while true { schedulePoint(.yield) }
                }
            }
            #expect(explorer.run() == .failed("stop"))
        }
        // Other suites run at the same time and hold a few stacks of their own.
        #expect(cp_coroutine_stacks_in_use() < before + 100)
    }

    @Test("An access left open on an abandoned thread does not disturb later accesses")
    func openAccessesAreDropped() {
        let owner = Owner()
        for seed in UInt64(1)...50 {
            let explorer = Explorer(seed: seed)
            for number in 0..<3 {
                explorer.spawn("t\(number)") { while owner.table.waitInside() == 0 {} }
            }
            explorer.spawn("stopper") {
                for _ in 0..<5 { schedulePoint(.yield) }
                explorer.fail("stop")
            }
            #expect(explorer.run() == .failed("stop"))
            // A dead stack in the chain would make this a conflict or a crash.
            owner.table.value = 0
            owner.other += 1
        }
        #expect(owner.other == 50)
    }

    @Test("A modification held open across a schedule point stops the program when another thread modifies")
    func exclusivityFindsBreach() async {
        await #expect(processExitsWith: .failure) {
            let owner = Owner()
            func hold(_ value: inout Int) {
                value += 1
                schedulePoint(.yield)
                value += 1
            }
            let explorer = Explorer(replaying: [])
            explorer.spawn("a") { hold(&owner.other) }
            explorer.spawn("b") { hold(&owner.other) }
            _ = explorer.run()
        }
    }
}
