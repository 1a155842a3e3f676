// #VC: instructions that the host would have to emulate, carried out by asking it, or from the CPUID page.

import Hardware

enum CommunicationException {
    enum Outcome {
        case done
        case notHandled
        /// The host wants this exception raised.
        case raises(UInt64)
    }

    /// The error code is the exit code of the instruction. Its bytes must agree, or the host has made the exception up.
    static func handle(_ frame: UnsafeMutablePointer<exception_frame>) -> Outcome {
        let rip = frame.pointee.rip
        switch frame.pointee.error {
        case ExitCode.cpuid where load16(rip) == 0xa20f:
            emulateCPUID(frame)
            frame.pointee.rip += 2
            return .done
        case ExitCode.msr where load16(rip) == 0x320f: return accessMSR(frame, isWrite: false)
        case ExitCode.msr where load16(rip) == 0x300f: return accessMSR(frame, isWrite: true)
        case ExitCode.rdtsc where load16(rip) == 0x310f: return readTimeStamp(frame)
        case ExitCode.ioio: return accessPort(frame)
        default: return .notHandled
        }
    }

    /// CPUID from the page that firmware has checked. What is not in it is zero.
    private static func emulateCPUID(_ frame: UnsafeMutablePointer<exception_frame>) {
        let function = UInt32(truncatingIfNeeded: frame.pointee.rax)
        let index = UInt32(truncatingIfNeeded: frame.pointee.rcx)
        let result = CPUIDTable.lookUp(function, index)
        frame.pointee.rax = UInt64(result.eax)
        frame.pointee.rbx = UInt64(result.ebx)
        frame.pointee.rcx = UInt64(result.ecx)
        frame.pointee.rdx = UInt64(result.edx)
    }

    private static func accessMSR(_ frame: UnsafeMutablePointer<exception_frame>, isWrite: Bool) -> Outcome {
        guard let ghcb = GHCB.current else { return .notHandled }
        Console.flush()
        ghcb.begin()
        ghcb.set(.rcx, frame.pointee.rcx & 0xffff_ffff)
        if isWrite {
            ghcb.set(.rax, frame.pointee.rax & 0xffff_ffff)
            ghcb.set(.rdx, frame.pointee.rdx & 0xffff_ffff)
        }
        let result = ghcb.call(ExitCode.msr, isWrite ? 1 : 0)
        if let other = exception(result) { return .raises(other) }
        guard result.isDone else { return .notHandled }
        if !isWrite {
            frame.pointee.rax = ghcb.answered(.rax) & 0xffff_ffff
            frame.pointee.rdx = ghcb.answered(.rdx) & 0xffff_ffff
        }
        frame.pointee.rip += 2
        return .done
    }

    private static func readTimeStamp(_ frame: UnsafeMutablePointer<exception_frame>) -> Outcome {
        guard let ghcb = GHCB.current else { return .notHandled }
        Console.flush()
        ghcb.begin()
        guard ghcb.call(ExitCode.rdtsc).isDone else { return .notHandled }
        frame.pointee.rax = ghcb.answered(.rax) & 0xffff_ffff
        frame.pointee.rdx = ghcb.answered(.rdx) & 0xffff_ffff
        frame.pointee.rip += 2
        return .done
    }

    /// IN and OUT of a byte, a word or a doubleword; the port in DX or in the instruction.
    private static func accessPort(_ frame: UnsafeMutablePointer<exception_frame>) -> Outcome {
        guard let ghcb = GHCB.current else { return .notHandled }
        var rip = frame.pointee.rip
        var size: UInt64 = 4
        if load8(rip) == 0x66 {
            size = 2
            rip += 1
        }
        let opcode = load8(rip)
        guard opcode & 0xf4 == 0xe4 else { return .notHandled }
        if opcode & 1 == 0 { size = 1 }
        let isWrite = opcode & 2 != 0
        let hasPortInDX = opcode & 8 != 0
        let port = hasPortInDX ? frame.pointee.rdx & 0xffff : UInt64(load8(rip + 1))
        let mask: UInt64 = (1 << (size * 8)) - 1
        Console.flush()
        ghcb.begin()
        if isWrite { ghcb.set(.rax, frame.pointee.rax & mask) }
        let result = ghcb.call(ExitCode.ioio, port << 16 | 1 << 9 | size << 4 | (isWrite ? 0 : 1))
        if let other = exception(result) { return .raises(other) }
        guard result.isDone else { return .notHandled }
        if !isWrite {
            let old = size == 4 ? 0 : frame.pointee.rax & ~mask
            frame.pointee.rax = old | ghcb.answered(.rax) & mask
        }
        frame.pointee.rip = rip + (hasPortInDX ? 1 : 2)
        return .done
    }

    /// The exception that the host wants: only #GP and #UD make sense of an instruction.
    private static func exception(_ result: GHCBResult) -> UInt64? {
        guard result.action == 1, result.info2 >> 31 & 1 == 1, result.info2 >> 8 & 7 == 3 else { return nil }
        let vector = result.info2 & 0xff
        return vector == 13 || vector == 6 ? vector : nil
    }
}

/// The table in the CPUID page: a count, then rows of 48 bytes from offset 16.
enum CPUIDTable {
    static func lookUp(_ function: UInt32, _ index: UInt32) -> cpuid_result {
        let count = min(UInt64(load32(boot.cpuid)), 64)
        for row in 0..<count {
            let entry = boot.cpuid + 16 + row * 48
            guard load32(entry) == function else { continue }
            guard !isIndexed(function) || load32(entry + 4) == index else { continue }
            return cpuid_result(
                eax: load32(entry + 24), ebx: load32(entry + 28), ecx: load32(entry + 32), edx: load32(entry + 36))
        }
        return cpuid_result(eax: 0, ebx: 0, ecx: 0, edx: 0)
    }

    private static func isIndexed(_ function: UInt32) -> Bool {
        switch function {
        case 0x4, 0x7, 0xb, 0xd, 0x8000_001d: true
        default: false
        }
    }
}
