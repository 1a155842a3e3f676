// The shared buffer: page state changes, and anything else that stands there; and what changes while the host looks.

internal import Hypervisor
internal import Machine
internal import SNPArchitecture

extension RequestWorld {
    static var bufferOperations: [Operation<RequestWorld>] {
        [
            Operation(
                "header", [.number("current", 2), .number("end", 2), .number("reserved", 4), .number("at", 2)]
            ) { world, a in
                let header = PageStateChangeHeader(currentEntry: UInt16(a[0]), endEntry: UInt16(a[1]))
                world.storeBuffer(header.rawValue | a[2] << 32, at: a[3])
            },
            Operation(
                "entry",
                [
                    .number("index"), .number("page", 2), .number("operation"), .choice("size", ["4K", "2M"]),
                    .number("current", 2),
                ]
            ) { world, a in
                var entry = PageStateChangeEntry(
                    world.guests[0].base + a[1], PageStateOperation(rawValue: UInt8(a[2] & 15)),
                    a.isSet(3) ? .size2M : .size4K)
                entry.currentPage = UInt16(a[4] & 0xfff)
                world.storeBuffer(entry.rawValue, at: (a[0] + 1) * 8)
            },
            Operation("entry-raw", [.number("index"), .number("value", 8)]) { world, a in
                world.storeBuffer(a[1], at: (a[0] + 1) * 8)
            },
            Operation(
                "change", [.number("guest"), .number("cpu"), .number("scratch", 2)]
            ) { world, a in
                let ghcb = world.guest(a[0]).ghcb(Int(a[1] & 1))
                world.page.set(.scratch, ghcb.rawValue + 0x800 + a[2])
                world.send(a[0], a[1], ExitCode.pageStateChange.rawValue, 0, 0)
            },
            Operation("change-at", [.number("guest"), .number("cpu"), .number("scratch", 8)]) { world, a in
                world.page.set(.scratch, a[2])
                world.send(a[0], a[1], ExitCode.pageStateChange.rawValue, 0, 0)
            },
            Operation("poke", [.number("offset", 2), .number("value", 8)]) { world, a in
                world.storeBuffer(a[1], at: a[0])
            },
            Operation("rewrite", [.number("offset", 2), .number("value", 8)]) { world, a in
                world.rewrites.append((min(Int(a[0] & 0xfff), 4088), a[1]))
            },
            Operation(
                "msr-change", [.number("guest"), .number("cpu"), .number("page", 2), .number("operation")]
            ) { world, a in
                let frame = world.guest(a[0]).base + a[2]
                let request = GHCBMSRRequest.pageStateChange(frame, PageStateOperation(rawValue: UInt8(a[3] & 15)))
                world.sendMSR(a[0], a[1], request.rawValue)
            },
        ]
    }

    /// Stores a quadword in the shared buffer of the next event's page.
    private func storeBuffer(_ value: UInt64, at offset: UInt64) {
        let at = GHCBPage.sharedBuffer.lowerBound + Int(offset % UInt64(GHCBPage.sharedBuffer.count))
        page.store(withUnsafeBytes(of: value.littleEndian) { Array($0) }, at: at)
    }
}
