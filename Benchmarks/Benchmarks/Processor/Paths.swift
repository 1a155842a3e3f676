// The paths beside plain execution: TLB misses, VMGEXIT, and what the RMP's check costs of a miss. Each is the difference of
// two runs of the same loop, with and without what is measured.

import Foundation
import Hypervisor
import Machine
import SNPArchitecture

/// Runs a loop whose number of rounds is put behind `mov ebx`, and returns the seconds of a round, the best of several.
private func seconds(
    perRound code: (UInt32) -> [UInt8], rounds: UInt32, repeats: Int = 7,
    onPort: @escaping (VirtualCPU) -> Void = { _ in }
) throws -> Double {
    var best = Double.infinity
    for _ in 0..<repeats {
        let guest = try BenchmarkGuest(code(rounds))
        let start = processorTime()
        _ = try guest.runToHalt(turn: .max, onPort: onPort)
        best = min(best, processorTime() - start)
    }
    return best / Double(rounds)
}

private func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

/// A loop around a body: `mov ebx, rounds`, body, `dec ebx`, `jnz`, `hlt`.
private func loop(_ rounds: UInt32, _ before: [UInt8], _ body: [UInt8]) -> [UInt8] {
    let back = UInt32(bitPattern: -Int32(body.count + 2 + 6))
    return before + [0xbb] + bytes(rounds) + body + [0xff, 0xcb, 0x0f, 0x85] + bytes(back) + [0xf4]
}

/// Loads from so many pages in turn, one a page, from 4 MiB on: mov rsi; (mov al, [rsi]; add rsi, 4096; dec ecx; jnz).
private func walk(pages: UInt32) -> (UInt32) -> [UInt8] {
    { rounds in
        loop(
            rounds, [],
            [0xbe] + bytes(0x40_0000) + [0xb9] + bytes(pages)
                + [0x8a, 0x06, 0x48, 0x81, 0xc6] + bytes(4096) + [0xff, 0xc9, 0x75, 0xf3])
    }
}

func measureMisses() throws {
    // 512 pages fit the software TLB of 1024 entries. Of 2048 pages in turn none does, and the nested TLB of 2048 entries has
    // nearly all. Of 5120 pages in turn it has none either.
    let hit = try seconds(perRound: walk(pages: 512), rounds: 2000) / 512
    let near = try seconds(perRound: walk(pages: 2048), rounds: 200) / 2048
    let far = try seconds(perRound: walk(pages: 5120), rounds: 100) / 5120
    print(near - hit, far - hit)
}

/// `mov ecx, C0010130h` (the GHCB MSR), `mov eax, request`, `xor edx, edx`, `wrmsr`, VMGEXIT, `rdmsr`.
func measureExits() throws {
    let before: [UInt8] = [0xb9] + bytes(0xc001_0130)
    let write: [UInt8] = [0xb8] + bytes(2) + [0x31, 0xd2, 0x0f, 0x30]
    let exit: [UInt8] = [0xf3, 0x0f, 0x01, 0xd9]
    let rounds: UInt32 = 200_000
    let without = try seconds(perRound: { loop($0, before, write + [0x0f, 0x32]) }, rounds: rounds)
    let with = try seconds(perRound: { loop($0, before, write + exit + [0x0f, 0x32]) }, rounds: rounds)
    print(with - without)
}

func measureChecks() throws {
    let guest = try BenchmarkGuest([0xf4])
    _ = try guest.runToHalt()
    _ = try guest.machine.populateMappings(GPA(0), byteCount: BenchmarkGuest.byteCount)
    guard let access = guest.machine.makeGuestAccess() else { throw Refusal("the guest has no key") }
    let pages = try (0..<BenchmarkGuest.byteCount >> 12).map { try access.resolve(GPA($0 << 12)) }
    var best = Double.infinity
    var allowed: UInt64 = 0
    for _ in 0..<9 {
        let start = processorTime()
        for page in pages {
            let found = try access.rmp.checkGuestAccess(
                to: page, .read, .private, asid: access.context.asid, vmpl: .vmpl0, privilege: .supervisor, base: [])
            allowed &+= UInt64(found.rawValue)
        }
        best = min(best, processorTime() - start)
    }
    guard allowed == UInt64(pages.count) * 9 * 7 else { throw Refusal("the RMP refuses a page") }
    print(best / Double(pages.count))
}
