// Whole programs of several compilers: what they compute on the processor is what they compute on the tests' own.

import Machine
import Processor
import SNPArchitecture
import Testing

@Suite("Compiled programs compute on the processor what they compute natively")
struct CompiledProgramTests {
    @Test(
        "hashes, sorts, a compressor, floating point of 32, 64 and 80 bits, strings and integers",
        .enabled(if: !CompiledVariant.all.isEmpty, "needs gcc or clang on an x86-64 Linux"),
        arguments: CompiledVariant.all)
    func results(_ variant: CompiledVariant) throws {
        let native = try variant.nativeResults()
        #expect(native.count == 7)
        #expect(Set(native.map(\.result)).count == native.count)
        let image = try variant.guestImage()
        for (number, program) in native.enumerated() {
            let guest = try GuestFixture()
            for segment in image.segments { try guest.put(segment.address, segment.bytes) }
            guest.state.registers.rip = image.entry
            guest.state.registers.rdi = UInt64(number)
            let exit = guest.resume(budget: 3_000_000)
            let count = guest.processor.counts.instructions
            #expect(exit.code == .halt, "\(program.name): \(exit) after \(count), \(guest.processor.counts.undefined)")
            #expect(guest.state.registers.rax == program.result, "\(program.name)")
            #expect(guest.processor.counts.exceptions.isEmpty, "\(program.name)")
            #expect(count > 10_000 && count < 3_000_000, "\(program.name): \(count)")
        }
    }
}
