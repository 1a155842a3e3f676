// Slots, attributes, guest_memfd files and the VMM's memory.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension IoctlWorld {
    /// How large a file or a range a plain operation may make, in pages.
    private static let pageLimit: UInt64 = 4096

    static var memoryOperations: [Operation<IoctlWorld>] {
        attributeOperations + slotOperations + fileOperations
    }

    private static var attributeOperations: [Operation<IoctlWorld>] {
        [
            Operation(
                "convert",
                [.number("guest"), .number("page", 2), .number("count", 2), .choice("to", ["private", "shared"])]
            ) { world, a in
                let guest = world.guest(a[0])
                try guest.vm.setMemoryAttributes(
                    guest.gpa(a[1]), byteCount: a[2] << 12, to: a.isSet(3) ? .shared : .private)
            },
            Operation(
                "convert-raw",
                [
                    .number("guest"), .number("gpa", 8), .number("bytes", 8), .choice("to", ["private", "shared"]),
                    .number("flags"),
                ]
            ) { world, a in
                try world.guest(a[0]).vm.setMemoryAttributes(
                    GPA(a[1]), byteCount: a[2], to: a.isSet(3) ? .shared : .private, flags: a[4])
            },
        ]
    }

    private static var slotOperations: [Operation<IoctlWorld>] {
        [
            Operation(
                "slot",
                [
                    .number("guest"), .number("slot"), .number("page", 2), .number("count", 2), .number("user"),
                    .number("user-page", 2), .number("file"), .number("file-page", 2),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let user = guest.user(a[4]) else { return }
                var region = MemoryRegion(
                    slot: UInt32(a[1]), gpa: guest.gpa(a[2]), byteCount: a[3] << 12, userMemory: user,
                    guestMemory: guest.file(a[6]))
                region.userOffset = a[5] << 12
                region.guestOffset = a[7] << 12
                try guest.vm.setMemoryRegion(region)
            },
            Operation(
                "slot-raw",
                [
                    .number("guest"), .number("slot", 4), .number("flags"), .number("gpa", 8), .number("bytes", 8),
                    .number("user-offset", 8), .number("file"), .number("file-offset", 8),
                ]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let user = guest.user(0) else { return }
                var region = MemoryRegion(
                    slot: UInt32(a[1]), gpa: GPA(a[3]), byteCount: a[4], userMemory: user,
                    guestMemory: guest.file(a[6]))
                region.flags = UInt32(a[2])
                region.userOffset = a[5]
                region.guestOffset = a[7]
                try guest.vm.setMemoryRegion(region)
            },
            Operation("delete-slot", [.number("guest"), .number("slot")]) { world, a in
                let guest = world.guest(a[0])
                guard let user = guest.user(0) else { return }
                try guest.vm.setMemoryRegion(
                    MemoryRegion(slot: UInt32(a[1]), gpa: guest.gpa(0), byteCount: 0, userMemory: user))
            },
        ]
    }

    private static var fileOperations: [Operation<IoctlWorld>] {
        [
            Operation(
                "create-file", [.number("guest"), .number("pages", 2), .number("order"), .number("flags")]
            ) { world, a in
                let guest = world.guest(a[0])
                guard guest.files.count < 8, a[1] <= pageLimit else { return }
                let file = try guest.vm.createGuestMemory(
                    byteCount: a[1] << 12, flags: a[3], folioOrder: UInt8(a[2]))
                world.sealed.keep(file)
                guest.files.append(file)
            },
            Operation(
                "allocate", [.number("guest"), .number("file"), .number("page", 2), .number("count", 2)]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let file = guest.file(a[1] + 1) else { return }
                try guest.vm.allocate(file, offset: a[2] << 12, byteCount: a[3] << 12)
            },
            Operation(
                "punch", [.number("guest"), .number("file"), .number("page", 2), .number("count", 2)]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let file = guest.file(a[1] + 1) else { return }
                try guest.vm.punchHole(file, offset: a[2] << 12, byteCount: a[3] << 12)
            },
            Operation(
                "allocate-raw", [.number("guest"), .number("file"), .number("offset", 8), .number("bytes", 8)]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let file = guest.file(a[1] + 1) else { return }
                try guest.vm.allocate(file, offset: a[2], byteCount: a[3])
            },
            Operation(
                "punch-raw", [.number("guest"), .number("file"), .number("offset", 8), .number("bytes", 8)]
            ) { world, a in
                let guest = world.guest(a[0])
                guard let file = guest.file(a[1] + 1) else { return }
                try guest.vm.punchHole(file, offset: a[2], byteCount: a[3])
            },
            Operation("map-user", [.number("guest"), .number("pages", 2)]) { world, a in
                let guest = world.guest(a[0])
                guard guest.users.count < 8, a[1] <= pageLimit else { return }
                let user = try UserMemory(host: world.sealed.host, byteCount: a[1] << 12)
                world.sealed.keep(user)
                guest.users.append(user)
            },
            Operation(
                "user-write", [.number("guest"), .number("user"), .number("offset", 4), .number("count", 2)]
            ) { world, a in
                guard let user = world.guest(a[0]).user(a[1]) else { return }
                try user.write([UInt8](repeating: 0x5a, count: Int(a[3])), at: a[2])
            },
            Operation(
                "discard", [.number("guest"), .number("user"), .number("page", 2), .number("count", 2)]
            ) { world, a in
                world.guest(a[0]).user(a[1])?.discard(a[2]..<a[2] + a[3])
            },
        ]
    }
}
