// The VMM: runs a virtual CPU and answers its exits in the manner that the fuzzer chose.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension RequestWorld {
    /// Runs a virtual CPU until it has nothing to do, or for so many exits.
    func run(_ guest: Guest, _ number: Int) {
        let cpu = guest.cpus[number]
        for _ in 0..<24 {
            let exit = cpu.run(budget: 64)
            rewrite(guest.ghcb(number), of: guest)
            switch exit {
            case .halted, .shutdown, .failEntry, .interrupted, .unexpectedExit, .terminated, .failed: return
            case .io(let access): replyData(cpu, access.isWrite ? 0 : access.byteCount)
            case .mmio(let access): replyData(cpu, access.isWrite ? 0 : access.byteCount)
            case .mapRange(let call):
                if manner == .honest {
                    let isDone =
                        (try? guest.vm.setMemoryAttributes(
                            call.gpa, byteCount: call.pageCount << 12, to: call.attribute)) != nil
                    cpu.reply(.result(isDone ? 0 : 22))
                } else {
                    reply(cpu)
                }
            case .memoryFault(let gpa, let byteCount, let isPrivate, _):
                guard manner == .honest else { return }
                _ = try? guest.vm.setMemoryAttributes(
                    gpa, byteCount: byteCount, to: isPrivate ? .private : .shared)
            case .certificates:
                if manner == .honest { cpu.reply(.certificates(error: nil, pageCount: 1)) } else { reply(cpu) }
            }
        }
    }

    private func reply(_ cpu: VirtualCPU) {
        switch manner {
        case .honest, .lying: cpu.reply(.result(0))
        case .refusing:
            cpu.reply(answer & 1 == 0 ? .result(answer) : .certificates(error: Errno(rawValue: 28), pageCount: answer))
        case .wrongKind: cpu.reply(.data([UInt8](repeating: 0xff, count: Int(answer & 0xffff))))
        case .silent: break
        }
    }

    /// Answers a read of a device: as many bytes as it asks for, or not.
    private func replyData(_ cpu: VirtualCPU, _ count: Int) {
        switch manner {
        case .honest, .lying: cpu.reply(.data([UInt8](repeating: 0xa5, count: count)))
        case .refusing: cpu.reply(.data([UInt8](repeating: 0xa5, count: Int(answer & 0x1fff))))
        case .wrongKind: cpu.reply(.result(answer))
        case .silent: break
        }
    }

    /// The guest's other virtual CPU writes into the GHCB while the VMM is at work.
    private func rewrite(_ ghcb: GPA, of guest: Guest) {
        guard !rewrites.isEmpty, let memory = guest.vm.makeGuestAccess() else { return }
        for (offset, value) in rewrites {
            let bytes = withUnsafeBytes(of: value.littleEndian) { Array($0) }
            try? memory.store(bytes, at: ghcb + UInt64(offset), .shared)
        }
        rewrites.removeAll()
    }
}
