// The life of a guest: creation, launch, virtual CPUs, destruction.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture
internal import ScriptedGuest

extension IoctlWorld {
    static var launchOperations: [Operation<IoctlWorld>] { launchCalls + lifeCalls }

    private static var launchCalls: [Operation<IoctlWorld>] {
        [
            Operation(
                "init2", [.number("guest"), .number("features", 8), .number("version", 2), .number("flags", 4)]
            ) { world, a in
                try world.guest(a[0]).vm.sevInit2(
                    vmsaFeatures: a[1], ghcbVersion: UInt16(a[2]), flags: UInt32(a[3]))
            },
            Operation("launch-start", [.number("guest"), .number("flags")]) { world, a in
                try world.guest(a[0]).vm.snpLaunchStart(policy: .standard, flags: UInt16(a[1]))
            },
            Operation("launch-start-raw", [.number("guest"), .number("policy", 8)]) { world, a in
                try world.guest(a[0]).vm.snpLaunchStart(policy: GuestPolicy(rawValue: a[1]))
            },
            Operation(
                "launch-update",
                [.number("guest"), .number("page", 2), .number("count"), .number("type"), .number("flags")]
            ) { world, a in
                let guest = world.guest(a[0])
                let type = PageType(rawValue: UInt8(a[3]))
                let bytes = [UInt8](repeating: 0x11, count: Int(a[2] & 15) << 12)
                var request = LaunchUpdateRequest(
                    gfn: guest.base + a[1], source: type == .zero ? nil : bytes[...], byteCount: UInt64(bytes.count),
                    type: type)
                request.flags = UInt16(a[4])
                try guest.vm.snpLaunchUpdate(&request)
            },
            Operation(
                "launch-update-raw",
                [.number("guest"), .number("gfn", 8), .number("bytes", 8), .number("source", 2), .number("type")]
            ) { world, a in
                let bytes = [UInt8](repeating: 0x22, count: Int(a[3]))
                var request = LaunchUpdateRequest(
                    gfn: GFN(a[1]), source: bytes[...], byteCount: a[2], type: PageType(rawValue: UInt8(a[4])))
                try world.guest(a[0]).vm.snpLaunchUpdate(&request)
            },
            Operation("launch-finish", [.number("guest"), .number("flags"), .number("id-block", 2)]) { world, a in
                var request = LaunchFinishRequest()
                request.flags = UInt16(a[1])
                if a[2] > 0 {
                    request.idBlock = [UInt8](repeating: 1, count: Int(a[2] & 0x1ff))
                    request.idAuthentication = [UInt8](repeating: 1, count: Int(a[2]))
                }
                try world.guest(a[0]).vm.snpLaunchFinish(request)
            },
        ]
    }

    private static var lifeCalls: [Operation<IoctlWorld>] {
        [
            Operation("new-guest", [.choice("policy", ["eager", "lazy"])]) { world, a in
                guard world.guests.count < 6 else { return }
                try world.addGuest(a.isSet(0) ? LazyPolicy() : EagerPolicy())
            },
            Operation("destroy", [.number("guest")]) { world, a in world.destroy(world.guest(a[0])) },
            Operation("create-cpu", [.number("guest"), .number("id")]) { world, a in
                let guest = world.guest(a[0])
                guard guest.cpus.count < 4 else { return }
                guest.cpus.append(try guest.vm.createVirtualCPU(id: UInt32(a[1]), initialState: .scripted()))
            },
            // A virtual CPU that touches a page. What the VMM would do about its exits are operations of their own.
            Operation(
                "run",
                [
                    .number("guest"), .number("cpu"), .number("page", 2), .choice("as", ["private", "shared"]),
                    .choice("kind", ["read", "write", "execute"]),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                guard !guest.cpus.isEmpty else { return }
                let cpu = guest.cpus[Int(a[1] % UInt64(guest.cpus.count))]
                var script = GuestScript()
                try script.touch(
                    guest.gpa(a[2]), a.isSet(3) ? .shared : .private, [.read, .write, .execute][a.int(4)])
                cpu.attach(ScriptedProcessor(script))
                _ = cpu.run(budget: 8)
            },
        ]
    }
}
