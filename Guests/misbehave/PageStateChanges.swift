// Malformed page state changes: the answer is in SW_EXITINFO2, and SW_EXITINFO1 says that there is nothing else to do.

import Hardware

let invalidHeader: UInt64 = 1 << 32 | 1
let invalidEntry: UInt64 = 1 << 32 | 2

func breakPageStateChange() {
    Case.survived("psc-too-many") {
        Check.equal(change(header: 253 << 16, entry: 0), invalidHeader, "254 entries are an invalid header")
    }
    Case.survived("psc-unaligned") {
        let entry = PageStates.entry(nextLargePage() + 4096, .makePrivate, .size2M)
        Check.equal(change(header: 0, entry: entry), invalidEntry, "2 MiB at a page inside is an invalid entry")
    }
    Case.survived("psc-progress") {
        let entry = PageStates.entry(nextLargePage(), .makePrivate, .size4K) | 2
        Check.equal(change(header: 0, entry: entry), invalidEntry, "more done than there is to do is an invalid entry")
    }
    Case.survived("psc-nothing") {
        Check.equal(change(header: 5, entry: 0), 0, "a list that has been processed is no error")
    }
    Case.survived("psc-scratch") {
        refuses(Answer.invalidScratch, "a list at address 0") { ghcb in
            ghcb.set(.scratch, 0)
            return ghcb.call(ExitCode.pageStateChange)
        }
        refuses(Answer.invalidScratch, "a list before the shared buffer") { ghcb in
            ghcb.set(.scratch, ghcb.address + 0x100)
            return ghcb.call(ExitCode.pageStateChange)
        }
    }
    Case.survived("msr-psc-operation") {
        let answer = MSRProtocol.ask(3 << 52 | nextLargePage() | 0x014)
        Check.equal(answer & 0xfff, 0x015, "PSMASH by the MSR protocol is answered")
        Check.that(answer >> 32 != 0, "with an error")
    }
}

func change(header: UInt64, entry: UInt64) -> UInt64 {
    Console.flush()
    guard let ghcb = GHCB.current else { return 0 }
    store64(ghcb.buffer, header)
    store64(ghcb.buffer + 8, entry)
    ghcb.begin()
    ghcb.set(.scratch, ghcb.buffer)
    let result = ghcb.call(ExitCode.pageStateChange)
    return result.action << 48 | result.info2
}
