// Firmware that refuses, dawdles or dies at any command of a launch: the host stays consistent and loses only what it
// counts.

import Machine
import Rampart
import SNPArchitecture
import Scheduling
import Testing

@testable import Hypervisor

@Suite("Faults of the firmware")
struct FirmwareFaultTests {
    /// A command of a guest's life, the call that fails, and how many pages are lost if it refuses.
    struct Step: Sendable, CustomTestStringConvertible {
        var command: FirmwareCommand
        var call: Int
        var lostPages: Int
        var testDescription: String { "\(command) \(call)" }
    }
    static let steps = [
        Step(command: .snpGCTXCreate, call: 1, lostPages: 0), Step(command: .snpLaunchStart, call: 1, lostPages: 0),
        Step(command: .snpActivate, call: 1, lostPages: 0), Step(command: .snpLaunchUpdate, call: 1, lostPages: 0),
        Step(command: .snpLaunchUpdate, call: 4, lostPages: 0), Step(command: .snpLaunchUpdate, call: 5, lostPages: 0),
        Step(command: .snpLaunchFinish, call: 1, lostPages: 0), Step(command: .snpDecommission, call: 1, lostPages: 1),
        Step(command: .snpPageReclaim, call: 1, lostPages: 1),
    ]
    static let statuses: [FirmwareStatus] = [
        .invalidParam, .invalidPageState, .hardwareErrorPlatform, .resourceLimit, FirmwareStatus(rawValue: 0x77),
    ]

    /// Runs a body in virtual time, in which a time-out takes no time.
    private func inVirtualTime(_ body: @escaping () throws -> Void) throws {
        let explorer = Explorer(seed: 1)
        var failure: (any Error)?
        explorer.spawn("host") { do { try body() } catch { failure = error } }
        let outcome = explorer.run()
        if let failure { throw failure }
        #expect(outcome == .completed)
    }

    /// Frames that are free, leaked, or hold the direct map's small mappings around what leaked.
    private func accountedFrames(of host: Host) -> Int {
        let regions = 0..<(host.machine.rmp.tableFrames[0].lowerBound.rawValue >> 9)
        let tables = regions.count { host.directMap.level(of: PFN($0 << 9)) == .level4K }
        return Int(host.allocator.freeFrameCount) + host.leaked.count + tables
    }

    /// The whole life of a guest: pages, a virtual CPU, a launch. Returns the first error of a launch call.
    private func live(on emulated: EmulatedHost, lazy: Bool = false) throws -> SEVCommandError? {
        let guest = try TestGuest(pages: 1024, policy: lazy ? LazyPolicy() : EagerPolicy(), on: emulated)
        var failure: SEVCommandError?
        do throws(SEVCommandError) {
            try guest.vm.snpLaunchStart(policy: .standard)
            _ = try? guest.convert(0..<600, to: .private)
            _ = try? guest.vm.createVirtualCPU(id: 0, initialState: VMSA())
            let pages = LaunchTests.pattern(4)
            var request = LaunchUpdateRequest(
                gfn: guest.base + 10, source: pages[...], byteCount: 4 << 12, type: .normal)
            try guest.vm.snpLaunchUpdate(&request)
            try guest.vm.snpLaunchFinish()
        } catch { failure = error }
        #expect(guest.violations == [])
        guest.vm.destroy()
        return failure
    }

    @Test(
        "a command that is refused with any status leaves the host consistent; it launches the next guest",
        arguments: steps)
    func refusals(_ step: Step) throws {
        for (index, status) in Self.statuses.enumerated() {
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
            let (host, mailbox) = (emulated.host, emulated.machine.mailbox)
            let frames = accountedFrames(of: host)
            mailbox.injection.fail(step.command, calls: step.call...step.call, with: .status(status))
            let failure = try live(on: emulated, lazy: index % 2 == 1)
            mailbox.injection.set(nil)
            let isLaunch = step.command != .snpDecommission && step.command != .snpPageReclaim
            #expect(failure == (isLaunch ? SEVCommandError(.ioError, status) : nil), "\(status)")
            #expect(host.checkInvariants(of: []) == [] && emulated.machine.rmp.findViolations() == [])
            #expect(host.leaked.count == step.lostPages)
            #expect(accountedFrames(of: host) == frames, "\(status)")
            #expect(try live(on: emulated) == nil)
            #expect(host.leaked.count == step.lostPages && host.firmware.isResponding)
        }
    }

    @Test(
        "firmware that stops answering at a command fails it and all later ones; what it holds is leaked and counted",
        arguments: steps)
    func silence(_ step: Step) throws {
        try inVirtualTime {
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
            let (host, mailbox) = (emulated.host, emulated.machine.mailbox)
            let frames = accountedFrames(of: host)
            mailbox.injection.fail(step.command, calls: step.call...step.call, with: .silence)
            let start = HostClock.now
            let failure = try live(on: emulated)
            let isLaunch = step.command != .snpDecommission && step.command != .snpPageReclaim
            // Some pages of a run are success; the machine is dead by then, as the page that failed cannot be taken back.
            let isPartial = step.command == .snpLaunchUpdate && step.call == 4
            #expect(failure == (isLaunch ? SEVCommandError(isPartial ? .ioError : .timedOut) : nil))
            #expect(HostClock.now == start.advanced(byNanoseconds: FirmwareDriver.defaultTimeout), "waited once")
            #expect(!host.firmware.isResponding && host.leaked.count > 0)
            #expect(host.checkInvariants(of: []) == [] && emulated.machine.rmp.findViolations() == [])
            #expect(accountedFrames(of: host) == frames)
            mailbox.injection.set(nil)
            #expect(throws: FirmwareError.dead) { try host.firmware.send(.snpDFFlush) }
            let sent = host.firmware.commandCount
            host.firmware.reset()
            let leaked = host.leaked.count
            #expect(try self.live(on: emulated) == nil, "another guest, on another ASID")
            #expect(host.firmware.commandCount > sent && host.leaked.count == leaked)
            #expect(host.checkInvariants(of: []) == [])
        }
    }

    @Test("an ASID whose DECOMMISSION was refused is never handed out again")
    func lostASID() throws {
        let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
        emulated.machine.mailbox.injection.fail(.snpDecommission, with: .status(.hardwareErrorPlatform))
        #expect(try live(on: emulated) == nil)
        emulated.machine.mailbox.injection.set(nil)
        var asids: Set<UInt32> = []
        while let asid = try? emulated.host.asids.allocate(flush: { true }) { asids.insert(asid.rawValue) }
        #expect(asids == Set(2..<100), "the first guest had 1")
    }

    @Test("a slow answer is waited for; one past the time-out comes too late, though the command has run")
    func late() throws {
        try inVirtualTime {
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
            let (host, mailbox) = (emulated.host, emulated.machine.mailbox)
            host.firmware.setTimeout(nanoseconds: 1_000)
            mailbox.injection.fail(.snpActivate, with: .late(nanoseconds: 999))
            let start = HostClock.now
            #expect(try self.live(on: emulated) == nil)
            #expect(HostClock.now == start.advanced(byNanoseconds: 999) && host.leaked.count == 0)
            mailbox.injection.fail(.snpActivate, with: .late(nanoseconds: 1_001))
            #expect(try self.live(on: emulated) == SEVCommandError(.timedOut))
            #expect(HostClock.now == start.advanced(byNanoseconds: 1_999))
            #expect(host.leaked.count == 2, "the context, and the page for answers")
            #expect(mailbox.readResponse() >> 31 == 0)
            HostClock.sleep(nanoseconds: 2)
            #expect(mailbox.readResponse() == 1 << 31, "the answer comes to nobody")
            host.firmware.reset()
            // Firmware still has the first ASID active; the host does not use it again.
            #expect(try self.live(on: emulated) == nil && self.live(on: emulated) == nil)
        }
    }

    @Test("the mailbox answers nothing while it is silent, and a command written before an answer is lost")
    func registers() throws {
        try inVirtualTime {
            let emulated = try EmulatedHost(MachineConfiguration(dramByteCount: 48 << 20))
            let mailbox = emulated.machine.mailbox
            mailbox.injection.set { command, call in
                command == .snpDFFlush ? [1: .late(nanoseconds: 10), 2: .silence][call] : nil
            }
            mailbox.writeCommand(0x84_0000)
            mailbox.writeCommand(0xee_0000)
            #expect(mailbox.readResponse() == 0x84_0000)
            #expect(mailbox.waitForResponse(until: HostClock.now.advanced(byNanoseconds: 9)) == 0x84_0000)
            #expect(mailbox.waitForResponse(until: HostClock.now.advanced(byNanoseconds: 9)) == 1 << 31)
            mailbox.writeCommand(0x84_0000)
            mailbox.writeCommand(0xee_0000)
            #expect(mailbox.waitForResponse(until: HostClock.now.advanced(byNanoseconds: 9)) == 0x84_0000)
            mailbox.reset()
            mailbox.writeCommand(0xee_0000)
            #expect(mailbox.readResponse() == 1 << 31 | 0x11)
        }
    }
}
