// What a guest asks for: fields of the GHCB page, events, MSR requests, exits of any kind.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension RequestWorld {
    static var operations: [Operation<RequestWorld>] {
        fieldOperations + eventOperations + bufferOperations + memoryOperations + hostOperations
    }

    /// The operations of the target `psc`: page state changes, and what may come between their parts.
    static var pageStateOperations: [Operation<RequestWorld>] {
        bufferOperations + memoryOperations + hostOperations
    }

    private static let fields = GHCBField.allCases
    private static let events = ExitCode.named
    private static var fieldOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "field", [.choice("name", fields.map { "\($0)" }), .number("value", 8)]
            ) { world, a in world.page.set(fields[a.int(0)], a[1]) },
            Operation(
                "field-page",
                [.choice("name", fields.map { "\($0)" }), .number("page", 2), .number("offset", 2)]
            ) { world, a in
                world.page.set(fields[a.int(0)], world.guests[0].gpa(a[1]).rawValue + a[2])
            },
            Operation("valid", [.number("low", 8), .number("high", 8)]) { world, a in
                world.page.validBitmap = GHCBValidBitmap(low: a[0], high: a[1])
            },
            Operation("usage", [.number("usage", 4), .number("version", 2)]) { world, a in
                world.page.usage = UInt32(a[0])
                world.page.protocolVersion = UInt16(a[1])
            },
        ]
    }

    private static var eventOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "event",
                [
                    .number("guest"), .number("cpu"), .choice("code", events.map(\.name)),
                    .number("info1", 8), .number("info2", 8),
                ]
            ) { world, a in world.send(a[0], a[1], events[a.int(2)].code.rawValue, a[3], a[4]) },
            Operation(
                "event-raw",
                [.number("guest"), .number("cpu"), .number("code", 8), .number("info1", 8), .number("info2", 8)]
            ) { world, a in world.send(a[0], a[1], a[2], a[3], a[4]) },
            Operation(
                "request",
                [
                    .number("guest"), .number("cpu"), .number("request", 2), .number("response", 2),
                    .choice("kind", ["plain", "extended"]),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                world.send(
                    a[0], a[1], (a.isSet(4) ? ExitCode.extendedGuestRequest : .guestRequest).rawValue,
                    guest.gpa(a[2]).rawValue, guest.gpa(a[3]).rawValue)
            },
            Operation(
                "ap-create",
                [
                    .number("guest"), .number("cpu"), .number("request"), .number("apic", 4), .number("page", 2),
                    .number("features", 8),
                ]
            ) { world, a in
                world.page.set(.rax, a[5])
                world.send(
                    a[0], a[1], ExitCode.apCreation.rawValue, a[2] | a[3] << 32, world.guest(a[0]).gpa(a[4]).rawValue)
            },
            Operation("msr", [.number("guest"), .number("cpu"), .number("value", 8)]) { world, a in
                world.sendMSR(a[0], a[1], a[2])
            },
            Operation(
                "msr-page",
                [.number("guest"), .number("cpu"), .number("code", 2), .number("page", 2), .number("operation")]
            ) { world, a in
                let frame = world.guest(a[0]).gpa(a[3]).rawValue
                world.sendMSR(a[0], a[1], frame | (a[4] & 15) << 52 | a[2] & 0xfff)
            },
            Operation(
                "exit",
                [.number("guest"), .number("cpu"), .number("code", 8), .number("info1", 8), .number("info2", 8)]
            ) { world, a in
                world.act(a[0], a[1]) { _, _ in GuestExit(ExitCode(a[2]), info1: a[3], info2: a[4]) }
            },
        ]
    }

    /// Makes the guest do something, and runs it.
    func act(_ guest: UInt64, _ cpu: UInt64, _ action: @escaping HostileProcessor.Action) {
        let guest = self.guest(guest)
        let number = Int(cpu & 1)
        guest.processors[number].add(action)
        run(guest, number)
    }

    /// VMGEXIT with the page as it is, by the virtual CPU's own GHCB.
    func send(_ guest: UInt64, _ cpu: UInt64, _ code: UInt64, _ info1: UInt64, _ info2: UInt64) {
        page.setExit(code, info1, info2)
        send(guest, cpu)
    }

    func send(_ guest: UInt64, _ cpu: UInt64) {
        let bytes = page.bytes
        let ghcb = self.guest(guest).ghcb(Int(cpu & 1))
        page.validBitmap = GHCBValidBitmap()
        act(guest, cpu) { state, memory in
            try memory.store(bytes, at: ghcb, .shared)
            state.ghcb = ghcb.rawValue
            return GuestExit(.vmgexit)
        }
    }

    func sendMSR(_ guest: UInt64, _ cpu: UInt64, _ value: UInt64) {
        act(guest, cpu) { state, _ in
            state.ghcb = value
            return GuestExit(.vmgexit)
        }
    }
}
