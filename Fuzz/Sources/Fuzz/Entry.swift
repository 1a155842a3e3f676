// Where libFuzzer enters. RAMPART_FUZZ_TARGET names the target, RAMPART_FUZZ_DEFECT a known defect to switch on.
//
// With `show FILE`, `make TEXT FILE` or `play FILE...` in place of libFuzzer's arguments nothing is fuzzed: see Commands.swift.

import Fuzzing
import Glibc

/// The target of this process. libFuzzer has one thread.
nonisolated(unsafe) private var target: (any FuzzTarget)?

private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

/// Writes to standard error.
private func complain(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

/// Builds the target's world, once.
@c(LLVMFuzzerInitialize)
public func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>>>
) -> CInt {
    do {
        let target = try makeTarget(
            variable("RAMPART_FUZZ_TARGET") ?? "", defect: variable("RAMPART_FUZZ_DEFECT"))
        let words = (1..<max(Int(count.pointee), 1)).map { String(cString: arguments.pointee[$0]) }
        if let status = try execute(words, target) { exit(status) }
        Fuzz.target = target
    } catch {
        complain("fuzz: \(error)\n")
        exit(2)
    }
    return 0
}

/// Runs one input; what is wrong ends the process, so that libFuzzer keeps the input.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)
    guard let target, let problem = target.run(bytes, trace: nil) else { return 0 }
    complain("\nfuzz: \(problem)\n\(target.text(bytes) ?? "")")
    abort()
}
