// One instruction at a time on the processor that the tests run on and on the emulated one, from the same random state.

import Machine
import NativeProcessor
import SNPArchitecture
import Testing

@testable import Processor

/// A small generator, so that runs repeat.
struct TestRandom: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_f491_4f6c_dd1d
    }
}

/// The registers that both processors start from and end with.
struct ComparedState: Equatable {
    var general = [UInt64](repeating: 0, count: 16)
    var flags: UInt64 = 2
    var vectors = [[UInt64]](repeating: [0, 0], count: 16)
    var x87 = ComparedX87()
    var mxcsr: UInt32 = 0x1f80
    var data: [UInt8] = []
}

/// Runs instructions on both.
final class NativeComparison {
    /// Where both have their data: 64 KiB.
    static let dataAddress: UInt64 = 0x80_0000
    static let dataCount = 0x1000
    static let stackRegister = 4

    let guest: GuestFixture
    /// MXCSR as the last run of either has left it, if that run has raised #XM.
    private(set) var floatTrap: UInt32?

    /// Nil where the tests' processor cannot be asked.
    init?() throws {
        guard native_prepare(Self.dataAddress) != 0 else { return nil }
        guest = try GuestFixture()
        guest.state.registers.cr4 |= 1 << 9 | 1 << 10 | 1 << 18
        guest.state.registers.xcr0 = 3
    }

    /// What the tests' own processor does; nil if it refuses.
    func native(_ code: [UInt8], _ start: ComparedState) -> ComparedState? {
        var state = native_state()
        unsafe withUnsafeMutableBytes(of: &state) { raw in
            for number in 0..<16 {
                unsafe raw.storeBytes(of: start.general[number], toByteOffset: number * 8, as: UInt64.self)
            }
            unsafe raw.storeBytes(of: start.flags, toByteOffset: 128, as: UInt64.self)
            unsafe raw.storeBytes(of: UInt64(start.mxcsr), toByteOffset: 136, as: UInt64.self)
            for number in 0..<16 {
                unsafe raw.storeBytes(of: start.vectors[number][0], toByteOffset: 144 + number * 16, as: UInt64.self)
                unsafe raw.storeBytes(of: start.vectors[number][1], toByteOffset: 152 + number * 16, as: UInt64.self)
            }
            for (at, byte) in start.x87.image.enumerated() { unsafe raw[400 + at] = byte }
        }
        guard let memory = unsafe UnsafeMutableRawPointer(bitPattern: UInt(Self.dataAddress)) else { return nil }
        unsafe start.data.withUnsafeBytes {
            unsafe memory.copyMemory(from: $0.baseAddress.unsafelyUnwrapped, byteCount: $0.count)
        }
        let done = unsafe code.withUnsafeBufferPointer { unsafe native_run($0.baseAddress, Int32($0.count), &state) }
        let mxcsr = unsafe withUnsafeBytes(of: &state) { unsafe $0.load(fromByteOffset: 136, as: UInt32.self) }
        let signal = unsafe withUnsafeBytes(of: &state) { unsafe $0.load(fromByteOffset: 560, as: UInt64.self) }
        floatTrap = signal == 8 ? mxcsr : nil
        guard done != 0 else { return nil }
        var end = start
        end.mxcsr = mxcsr
        unsafe withUnsafeBytes(of: &state) { raw in
            for number in 0..<16 { end.general[number] = unsafe raw.load(fromByteOffset: number * 8, as: UInt64.self) }
            end.flags = unsafe raw.load(fromByteOffset: 128, as: UInt64.self)
            for number in 0..<16 {
                end.vectors[number][0] = unsafe raw.load(fromByteOffset: 144 + number * 16, as: UInt64.self)
                end.vectors[number][1] = unsafe raw.load(fromByteOffset: 152 + number * 16, as: UInt64.self)
            }
            end.x87 = ComparedX87(image: (0..<160).map { unsafe raw[400 + $0] })
        }
        end.general[Self.stackRegister] = start.general[Self.stackRegister]
        end.data = unsafe [UInt8](UnsafeRawBufferPointer(start: memory, count: Self.dataCount))
        return end
    }

    /// What the emulated processor does; nil if it raises an exception.
    func emulated(_ code: [UInt8], _ start: ComparedState) throws -> ComparedState? {
        try guest.put(Self.dataAddress, start.data)
        var r = guest.state.registers
        (r.rax, r.rcx, r.rdx, r.rbx) = (start.general[0], start.general[1], start.general[2], start.general[3])
        (r.rsp, r.rbp, r.rsi, r.rdi) = (GuestFixture.stack, start.general[5], start.general[6], start.general[7])
        (r.r8, r.r9, r.r10, r.r11) = (start.general[8], start.general[9], start.general[10], start.general[11])
        (r.r12, r.r13, r.r14, r.r15) = (start.general[12], start.general[13], start.general[14], start.general[15])
        r.rflags = start.flags
        r.mxcsr = start.mxcsr
        for number in 0..<16 {
            r.xmmRegisters[number * 2] = start.vectors[number][0]
            r.xmmRegisters[number * 2 + 1] = start.vectors[number][1]
        }
        start.x87.load(&r)
        guest.state.registers = r
        let before = guest.processor.counts.exceptions[19]
        let exit = try guest.run(code + [0xf4])
        r = guest.state.registers
        floatTrap = guest.processor.counts.exceptions[19] != before ? r.mxcsr : nil
        guard exit.code == .halt else { return nil }
        var end = start
        end.mxcsr = r.mxcsr
        end.general = [
            r.rax, r.rcx, r.rdx, r.rbx, start.general[4], r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
            r.r14,
            r.r15,
        ]
        end.flags = r.rflags
        for number in 0..<16 { end.vectors[number] = [r.xmmRegisters[number * 2], r.xmmRegisters[number * 2 + 1]] }
        end.x87 = ComparedX87(r)
        end.data = try guest.bytes(Self.dataAddress, Self.dataCount)
        return end
    }
}
