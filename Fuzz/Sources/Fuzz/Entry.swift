// The program: libFuzzer over a target. RAMPART_FUZZ_TARGET names the target, RAMPART_FUZZ_DEFECT a known defect to switch on.
//
// With `show FILE`, `make TEXT FILE` or `play FILE...` in place of libFuzzer's arguments nothing is fuzzed: see Commands.swift.

import Fuzzing
import Glibc
import LibFuzzer

/// The target of this process. libFuzzer has one thread.
nonisolated(unsafe) private var target: (any FuzzTarget)?

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Writes to standard error.
private func complain(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

/// Builds the target's world, once, and does what the arguments say.
@c(Fuzz_main)
public func begin(
    _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
    do {
        let target = try makeTarget(
            variable("RAMPART_FUZZ_TARGET") ?? "", defect: variable("RAMPART_FUZZ_DEFECT"))
        let words = (1..<max(Int(count), 1)).compactMap { arguments?[$0].map { String(cString: $0) } }
        if let status = try execute(words, target) { return status }
        Fuzz.target = target
    } catch {
        complain("fuzz: \(error)\n")
        return 2
    }
    var (count, arguments) = (count, arguments)
    return LLVMFuzzerRunDriver(&count, &arguments) { testOneInput($0, $1) }
}

/// Runs one input; what is wrong ends the process, so that libFuzzer keeps the input.
private func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
    guard let target, let problem = target.run(bytes, trace: nil) else { return 0 }
    complain("\nfuzz: \(problem)\n\(target.text(bytes) ?? "")")
    abort()
}
