// What `Benchmarks/processor` runs, once for each figure, in turn with others:
//
//     Processor program FILE     runs a raw program at 1 MiB as an SNP guest; prints its result, instructions and seconds
//     Processor miss             seconds of a load that misses the software TLB, on hits and on misses of the nested TLB
//     Processor vmgexit          seconds of a VMGEXIT round trip: through the kernel half, and through user space
//     Processor check            seconds of the RMP's part of one translation
//
// All times are of processor time, so that other work of the machine counts as little as possible.

import Foundation

func report(_ error: any Error) -> Never {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}

do {
    let arguments = CommandLine.arguments.dropFirst()
    switch arguments.first {
    case "program":
        guard let path = arguments.dropFirst().first, let bytes = FileManager.default.contents(atPath: path) else {
            throw Refusal("no such program")
        }
        let guest = try BenchmarkGuest([UInt8](bytes))
        let start = processorTime()
        let result = try guest.runToHalt()
        let taken = processorTime() - start
        let counts = guest.probe.processor.counts
        print(String(result, radix: 16), counts.instructions, taken, counts.translations)
    case "miss": try measureMisses()
    case "vmgexit": try measureExits()
    case "check": try measureChecks()
    default: throw Refusal("which benchmark?")
    }
} catch { report(error) }
