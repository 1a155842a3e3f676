// The codes of the GHCB MSR protocol, bit by bit.

import SNPArchitecture
import Testing

@Suite("GHCB MSR protocol")
struct GHCBMSRTests {
    static let requests: [(UInt64, GHCBMSRRequest)] = [
        (0x1_2345_6000, .page(GPA(0x1_2345_6000))),
        (0x002, .sevInformation),
        (0x8000_001f_4000_0004, .cpuid(function: 0x8000_001f, register: .ebx)),
        (0x0000_0007_c000_0004, .cpuid(function: 7, register: .edx)),
        (0x006, .apResetHold),
        (0x010, .preferredGHCB),
        (0x0000_0001_2345_6012, .registerGHCB(GFN(0x12_3456))),
        (0x0011_2233_4455_6014, .pageStateChange(GFN(0x12_2334_4556), .makePrivate)),
        (0x002f_ffff_ffff_f014, .pageStateChange(GFN(0xff_ffff_ffff), .makeShared)),
        (0x0000_0002_0000_0016, .runVMPL(2)),
        (0x080, .hypervisorFeatures),
        (0x0000_0000_0002_1100, .terminate(GHCBTermination(reasonSet: 1, code: 2))),
        (0x0000_0000_0000_0f01, .unknown(0xf01)),
        (0xffff_ffff_ffff_f018, .unknown(0xffff_ffff_ffff_f018)),
    ]

    @Test("requests have the specified codes and fields, both ways", arguments: requests.indices)
    func request(_ index: Int) {
        let (raw, request) = Self.requests[index]
        #expect(GHCBMSRRequest(rawValue: raw) == request)
        #expect(request.rawValue == raw)
    }

    static let responses: [(UInt64, GHCBMSRResponse)] = [
        (0x0002_0001_3300_0001, .sevInformation(maximum: 2, minimum: 1, cBit: 51)),
        (0xdead_beef_8000_0005, .cpuid(0xdead_beef, .ecx)),
        (0x007, .apResetHold(woken: false)),
        (0x1007, .apResetHold(woken: true)),
        (0xffff_ffff_ffff_f011, .preferredGHCB(nil)),
        (0x0000_0000_0080_a011, .preferredGHCB(GFN(0x80a))),
        (0x0000_0000_0080_a013, .registerGHCB(GFN(0x80a))),
        (0xffff_ffff_ffff_f013, .registerGHCB(nil)),
        (0x015, .pageStateChange(error: 0)),
        (0x8000_0000_0000_0015, .pageStateChange(error: GHCBMSRResponse.genericPageStateChangeError)),
        (0x0000_0001_0000_0017, .runVMPL(error: 1)),
        (0x3081, .hypervisorFeatures(.kvm)),
        (0x0000_0000_0000_0f00, .unknown(0xf00)),
    ]

    @Test("answers have the specified codes and fields, both ways", arguments: responses.indices)
    func response(_ index: Int) {
        let (raw, response) = Self.responses[index]
        #expect(GHCBMSRResponse(rawValue: raw) == response)
        #expect(response.rawValue == raw)
    }

    @Test("any value decodes, and encoding what was decoded loses only bits without meaning")
    func anyValue() {
        var random = SystemRandomNumberGenerator()
        for code in 0...0xfff as ClosedRange<UInt64> {
            let raw = UInt64.random(in: 0...(.max), using: &random) & ~0xfff | code
            let request = GHCBMSRRequest(rawValue: raw)
            #expect(request.rawValue & ~raw == 0)
            #expect(GHCBMSRRequest(rawValue: request.rawValue) == request)
            let response = GHCBMSRResponse(rawValue: raw)
            #expect(GHCBMSRResponse(rawValue: response.rawValue) == response)
        }
    }

    @Test("the value at reset is the answer 0x001: versions 2 to 1")
    func reset() {
        let raw = GHCBMSRResponse.sevInformation(maximum: 2, minimum: 1, cBit: 51).rawValue
        #expect(raw >> 48 == 2 && raw >> 32 & 0xffff == 1 && raw >> 24 & 0xff == 51 && raw & 0xffffff == 1)
    }

    @Test("termination reasons in both protocols")
    func termination() {
        let reason = GHCBTermination(exitInfo1: 0xffff_f021)
        #expect(reason == GHCBTermination(reasonSet: 1, code: 2))
        #expect(GHCBTermination(exitInfo1: 0x021).exitInfo1 == 0x021)
        #expect(GHCBTermination(reasonSet: 0x1f, code: 9).reasonSet == 0xf, "only four bits")
        #expect(GHCBTermination.unsupportedFeatures.description == "SNP features unsupported (reason 0:2)")
        #expect(GHCBTermination(reasonSet: 1, code: 12).description == "Secure AVIC failed (reason 1:12)")
        #expect(GHCBTermination(reasonSet: 2, code: 0).description == "reason 2:0")
    }
}
