// How to break each precondition of SNP_GUEST_REQUEST.

import Machine
import SNPArchitecture

@testable import SecureProcessor

extension Violations {
    private static func header(_ change: @escaping @Sendable (inout GuestMessageHeader) -> Void) -> Violation {
        { scenario in
            guard var message = scenario.message else { return }
            change(&message.header)
            scenario.message = message
        }
    }

    private static func setRequest(_ scenario: CommandScenario, _ spa: SPA) {
        scenario.edit(GuestRequestBuffer.self) { $0.request = spa }
    }

    static let messageCommands: [String: Violation] = [
        "SNP_GUEST_REQUEST/request-outside-rmp": { setRequest($0, $0.platform.machine.rmp.base) },
        "SNP_GUEST_REQUEST/response-outside-rmp": { scenario in
            scenario.edit(GuestRequestBuffer.self) { $0.response = scenario.platform.machine.rmp.base }
        },
        "SNP_GUEST_REQUEST/response-firmware": { scenario in
            scenario.platform.setEntry(TestPage.response) { $0.immutable = false }
            scenario.edit(GuestRequestBuffer.self) { $0.response = TestPage.response.address }
        },
        "SNP_GUEST_REQUEST/request-4k": { scenario in
            scenario.platform.setEntry(TestPage.request) { $0.pageSize = .size2M }
            setRequest(scenario, TestPage.request.address)
        },
        "SNP_GUEST_REQUEST/response-4k": { $0.platform.setEntry(TestPage.response) { $0.pageSize = .size2M } },
        "SNP_GUEST_REQUEST/guest-running": { $0.changeGuest { $0.state = .launching } },
        "SNP_GUEST_REQUEST/header-within-page": { $0.buffer.words[1] |= 0xfc0 },
        "SNP_GUEST_REQUEST/request-mappable": { setRequest($0, SPA(1 << 60)) },
        "SNP_GUEST_REQUEST/request-in-dram": { setRequest($0, SPA(512 << 20)) },
        "SNP_GUEST_REQUEST/header-version": header { $0.headerVersion = 2 },
        "SNP_GUEST_REQUEST/header-size": header { $0.headerSize = 0x40 },
        "SNP_GUEST_REQUEST/algorithm": header { $0.algorithm = 0 },
        "SNP_GUEST_REQUEST/message-size-not-zero": header { $0.messageSize = 0 },
        "SNP_GUEST_REQUEST/message-size-multiple": header { $0.messageSize = 0x58 },
        "SNP_GUEST_REQUEST/payload-within-page": { $0.buffer.words[1] |= 0xf80 },
        "SNP_GUEST_REQUEST/vmpck": header { $0.vmpck = 4 },
        "SNP_GUEST_REQUEST/tag": { $0.message?.spoil = { $0[0] ^= 1 } },
        "SNP_GUEST_REQUEST/additional-data": { $0.message?.spoil = { $0[0x5f] ^= 1 } },
        "SNP_GUEST_REQUEST/sequence-next": header { $0.sequenceNumber = 3 },
        "SNP_GUEST_REQUEST/sequence-left": { scenario in
            scenario.changeGuest { $0.messageCounts = Array(repeating: .max - 1, count: 4) }
            scenario.message?.header.sequenceNumber = .max
        },
        "SNP_GUEST_REQUEST/message-type": header { $0.type = GuestMessageType(rawValue: 0x13) },
        "SNP_GUEST_REQUEST/message-version-not-zero": header { $0.messageVersion = 0 },
        "SNP_GUEST_REQUEST/message-version-known": header { $0.messageVersion = 2 },
        "SNP_GUEST_REQUEST/response-within-page": { $0.buffer.words[2] |= 0xb00 },
    ]
}
