// Carries out `rampart run`: launches a program as an SNP guest, runs its virtual CPUs in turns, and answers what they ask.

internal import Attestation
internal import Hypervisor
internal import Machine
internal import Monitor
internal import Processor
internal import SNPArchitecture
internal import SecureProcessor

/// Runs a guest as asked.
///
/// - Parameters:
///   - console: gets each byte that the guest writes to its first serial line
/// - Throws: in check order: `InputError` for the image and the plan; `LaunchFailure`
/// - Deviates: devices' interrupts reach no guest, so that only AP creation or INIT and SIPI end a halt
public func runGuest(
    _ request: RunRequest, console: @escaping (UInt8) -> Void = { _ in }
) throws -> RunReport {
    try GuestRun.prepare(request, console).run()
}

/// One run: the virtual CPUs, the devices, and the loop between them.
final class GuestRun {
    let guest: LaunchedGuest
    let request: RunRequest
    private let responder: VMMResponder
    let processors: [TracingProcessor]
    private let bus = PortBus()
    private let clock: VirtualClock
    let recorder: RunRecorder
    private let exitPort = ExitPort()
    private let resultPort = ResultPort()
    private var console: [UInt8] = []
    private var userExits: [String: UInt64] = [:]
    /// The run is made once more, to see how another one ended.
    private let isRepetition: Bool

    /// How many instructions a virtual CPU runs in one turn.
    private static let turn: UInt64 = 100_000

    init(
        _ guest: LaunchedGuest, _ request: RunRequest, _ recorder: RunRecorder, _ clock: VirtualClock,
        _ retrace: Retrace?,
        _ sink: @escaping (UInt8) -> Void
    ) throws {
        self.guest = guest
        self.request = request
        self.recorder = recorder
        self.clock = clock
        isRepetition = retrace != nil
        guest.machine.setPersonality(request.personality.personality)
        do throws(Errno) { responder = try VMMResponder(machine: guest.machine) } catch {
            throw LaunchFailure.call("KVM_ENABLE_CAP", error)
        }
        let code = CodeRegistry()
        processors = guest.virtualCPUs.map {
            TracingProcessor(
                X86Processor(seed: request.seed &+ UInt64($0.id) &+ 1, code: code), vcpu: $0.id, recorder: recorder,
                retrace: retrace)
        }
        for (cpu, processor) in zip(guest.virtualCPUs, processors) { cpu.attach(processor) }
        let serial = SerialPort()
        for device in [
            serial, exitPort, resultPort, IntervalTimer(clock: clock), InterruptControllerPair(),
            RealTimeClock(clock: clock),
        ] as [any PortDevice] { bus.connect(device) }
        serial.onTransmit = { [unowned self] byte in
            console.append(byte)
            sink(byte)
        }
    }

    func run() -> RunReport {
        let start = ContinuousClock.now
        let ending = runTurns(until: request.timeLimit.map { start.advanced(by: .seconds($0)) })
        let duration = ContinuousClock.now - start
        return report(ending, duration)
    }

    /// Lets each virtual CPU run in turn. A halted one is asked again after the others, which may have started it anew.
    private func runTurns(until deadline: ContinuousClock.Instant?) -> GuestEnding {
        while true {
            var anyRan = false
            for (cpu, processor) in zip(guest.virtualCPUs, processors) {
                let before = processor.processor.counts.instructions
                recorder.beginTurn(of: processor.processor)
                let exit = cpu.run(budget: Self.turn)
                let done = processor.processor.counts.instructions - before
                clock.advance(by: done)
                recorder.endTurn()
                count(exit)
                if done > 0 || !(exit == .halted || processor.isWaiting) { anyRan = true }
                if let ending = answer(exit, of: cpu) { return ending }
                if let status = exitPort.status { return .exited(status) }
            }
            if !anyRan { return .halted }
            if let deadline, ContinuousClock.now >= deadline { return .timeLimit }
        }
    }

    private func count(_ exit: UserExit) {
        let name =
            switch exit {
            case .io: "port access"
            case .mapRange: "page state change"
            case .mmio: "device memory"
            case .halted: "halt"
            case .shutdown: "shutdown"
            case .failEntry: "failed entry"
            case .interrupted: "end of turn"
            case .unexpectedExit: "unexpected exit"
            case .terminated: "termination"
            case .memoryFault: "memory fault"
            case .certificates: "certificates"
            case .failed: "failure"
            }
        userExits[name, default: 0] += 1
    }

    /// Does what an exit asks for; an ending if the guest cannot go on.
    private func answer(_ exit: UserExit, of cpu: VirtualCPU) -> GuestEnding? {
        recorder.userExit(exit, of: cpu.id)
        if case .io(let access) = exit {
            if access.isWrite {
                bus.writeString(access.port, byteCount: Int(access.size), access.data)
            } else {
                let bytes = bus.readString(access.port, byteCount: Int(access.size), count: Int(access.count))
                cpu.reply(.data(bytes))
            }
            return nil
        }
        // A strict host converts nothing that the guest has not asked for; QEMU converts on a mismatching fault.
        let isStrict = request.personality == .strict
        if case .memoryFault = exit, isStrict {
        } else {
            switch responder.respond(to: exit, of: cpu) {
            case .goOn, .wait: return nil
            case .stop: break
            }
        }
        switch exit {
        case .terminated(let ghcb): return .terminated(ghcb: ghcb)
        case .shutdown: return .shutdown
        case .memoryFault(let gpa, _, let isPrivate, let errno):
            return .refused(
                "a \(isPrivate ? "private" : "shared") access to \(gpa) cannot be served (\(errno))", vcpu: cpu.id)
        case .failEntry(let code): return .refused("VMRUN refuses its state (\(code))", vcpu: cpu.id)
        case .failed(let errno): return .refused("KVM_RUN fails with \(errno)", vcpu: cpu.id)
        case .unexpectedExit(let code): return .refused("an exit that nobody expects (\(code))", vcpu: cpu.id)
        default: return .refused("\(exit)", vcpu: cpu.id)
        }
    }

    // MARK: The report

    private func report(_ ending: GuestEnding, _ duration: Duration) -> RunReport {
        var exits: [ExitCode: UInt64] = [:]
        for processor in processors { exits.merge(processor.exits) { $0 + $1 } }
        let machine = guest.machine
        let states = machine.countPageStates()
        let isDead =
            switch ending {
            case .exited, .timeLimit: false
            case .terminated, .shutdown, .halted, .refused: true
            }
        let attestation = resultPort.bytes.isEmpty ? nil : resultPort.bytes
        let autopsy = isDead && !isRepetition ? Autopsy(self, ending).text : nil
        return RunReport(
            request: request, digest: guest.digest, ending: ending, console: console,
            processors: processors.map(\.processor.counts),
            exits: exits.map { ExitTally(name: $0.key.description, count: $0.value) }.sorted {
                ($1.count, $0.name) < ($0.count, $1.name)
            },
            userExits: userExits.map { ExitTally(name: $0.key, count: $0.value) }.sorted {
                ($1.count, $0.name) < ($0.count, $1.name)
            },
            pages: PageState.allCases.compactMap { state in states[state].map { PageTally(state.rawValue, $0) } },
            counts: OperationCounts(machine.conversionCounts), attestation: attestation,
            attestationRefusal: attestation.flatMap(refusal),
            violations: guest.emulated.host.checkInvariants(of: [machine]).map(\.description), duration: duration,
            trace: recorder.text(ending), autopsy: autopsy)
    }

    /// Why the report that the guest handed over does not verify under the emulator's own root; nil if it does.
    private func refusal(_ bytes: [UInt8]) -> String? {
        let processor = guest.emulated.secureProcessor
        let authority = TestAuthority(product: .genoa)
        let now = CertificateTime(year: 2026, month: 1, day: 1)
        do {
            let vcek = try authority.vcek(
                publicKey: processor.vcekPublicKey(), tcb: processor.platformStatus.reportedTCB,
                chipIdentifier: processor.chipIdentifier)
            let chain = try EndorsementChain(
                endorsement: vcek,
                under: AuthorityChain(
                    ark: authority.ark, intermediate: authority.ask, trust: .given, at: now), at: now)
            var policy = ReportPolicy()
            policy.measurements = [guest.digest]
            _ = try chain.verify(report: bytes, policy: policy)
            return nil
        } catch {
            return "\(error)"
        }
    }
}
