import Attestation
import SNPArchitecture
import Testing

@testable import KeyDistribution

@Suite("Request targets")
struct RequestTests {
    static let identifier = String(repeating: "0aB", count: 43).prefix(128)
    static let milan = "/vcek/v1/Milan/\(identifier)"
    static let turin = "/vcek/v1/Turin/0123456789abcdef"

    static let requests: [KeyDistributionRequest] =
        AttestationProduct.allCases.flatMap { product in
            EndorsementKind.allCases.flatMap { [.chain($0, product), .revocationList($0, product)] }
        } + [
            .endorsement(.milan, chip: knownChip, tcb: milanTCB), .endorsement(.genoa, chip: knownChip, tcb: milanTCB),
            .endorsement(.turin, chip: turinChip, tcb: turinTCB),
        ]

    @Test("what a request's target says is the request", arguments: requests)
    func roundTrip(_ request: KeyDistributionRequest) throws {
        #expect(try KeyDistributionRequest(target: request.target) == request)
    }

    @Test("the targets are AMD's: two-digit decimal levels, FMC first and eight bytes of identifier on Turin")
    func layout() {
        let digits =
            "0104070a0d101316191c1f2225282b2e3134373a3d404346494c4f5255585b5e6164676a6d707376797c7f8285888b8e9194979a9da0"
            + "a3a6a9acafb2b5b8bbbe"
        #expect(
            KeyDistributionRequest.endorsement(.milan, chip: knownChip, tcb: milanTCB).target
                == "/vcek/v1/Milan/\(digits)?blSPL=04&teeSPL=00&snpSPL=22&ucodeSPL=213")
        #expect(
            KeyDistributionRequest.endorsement(.turin, chip: turinChip, tcb: turinTCB).target
                == "/vcek/v1/Turin/0104070a0d101316?fmcSPL=01&blSPL=02&teeSPL=03&snpSPL=04&ucodeSPL=85")
        #expect(KeyDistributionRequest.chain(.vlek, .genoa).target == "/vlek/v1/Genoa/cert_chain")
        #expect(KeyDistributionRequest.revocationList(.vcek, .turin).target == "/vcek/v1/Turin/crl")
    }

    static let accepted: [(String, String)] = [
        ("http://localhost:1234/vcek/v1/Milan/crl", "/vcek/v1/Milan/crl"),
        ("/vcek/v1/Mil%61n/cert%5Fchain", "/vcek/v1/Milan/cert_chain"),
        ("/vcek/v1/Milan/crl?", "/vcek/v1/Milan/crl"),
        (
            "\(turin)?ucodeSPL=7&fmcSPL=001",
            "/vcek/v1/Turin/0123456789abcdef?fmcSPL=01&blSPL=00&teeSPL=00&snpSPL=00&ucodeSPL=07"
        ),
        (turin, "/vcek/v1/Turin/0123456789abcdef?fmcSPL=00&blSPL=00&teeSPL=00&snpSPL=00&ucodeSPL=00"),
        (
            "/vcek/v1/Turin/0123456789ABCDEF?blSPL=255",
            "/vcek/v1/Turin/0123456789abcdef?fmcSPL=00&blSPL=255&teeSPL=00&snpSPL=00&ucodeSPL=00"
        ),
    ]

    @Test("other spellings of the same are accepted", arguments: accepted)
    func spellings(_ target: String, _ canonical: String) throws {
        #expect(try KeyDistributionRequest(target: target).target == canonical)
    }

    static let refused: [(String, Int)] = [
        ("", 400), ("*", 400), ("vcek/v1/Milan/crl", 400), ("localhost:443", 400), ("http://", 400),
        ("http://host", 400),
        ("/vcek/v1/Milan/crl#top", 400), ("/vcek/v1/Milan/cr%", 400), ("/vcek/v1/Milan/cr%6", 400),
        ("/vcek/v1/Milan/cr%zz", 400), ("/vcek/v1/Milan/%ff", 400), ("/", 404), ("//", 404), ("/vcek", 404),
        ("/vcek/v1/Milan", 404), ("/vcek/v1/Milan/", 400), ("/vcek/v2/Milan/crl", 404), ("/VCEK/v1/Milan/crl", 404),
        ("/vxek/v1/Milan/crl", 404), ("/vcek/v1/milan/crl", 404), ("/vcek/v1/Bergamo/crl", 404),
        ("/vcek/v1/Rome/cert_chain", 404), ("/vcek/v1//crl", 404), ("/vcek/v1/Milan/crl/", 404),
        ("/vcek/v1/../v1/Milan/crl", 404), ("/vcek/v1/Milan/CRL", 400), ("/vcek/v1/Milan/cert_chain?a=b", 400),
        ("/vcek/v1/Milan/crl?blSPL=00", 400), ("/vlek/v1/Milan/\(identifier)", 404), ("/vcek%2Fv1/Milan/crl", 404),
        ("/vcek/v1/Milan/0123456789abcdef", 400), ("/vcek/v1/Turin/\(identifier)", 400),
        ("/vcek/v1/Milan/\(identifier)0", 400), ("/vcek/v1/Turin/0123456789abcdeg", 400),
        ("/vcek/v1/Turin/０１２３４５６７", 400), ("\(milan)?fmcSPL=00", 400), ("\(milan)?blspl=00", 400),
        ("\(milan)?blSPL=00&blSPL=00", 400), ("\(milan)?blSPL=256", 400), ("\(milan)?blSPL=-1", 400),
        ("\(milan)?blSPL=+1", 400), ("\(milan)?blSPL=", 400), ("\(milan)?blSPL", 400), ("\(milan)?blSPL=0x1", 400),
        ("\(milan)?blSPL=0001", 400), ("\(milan)?blSPL=1e1", 400), ("\(milan)?blSPL=%31%", 400),
        ("\(milan)?blSPL=٣", 400), ("\(milan)?blSPL=00&", 400), ("\(milan)?&blSPL=00", 400), ("\(milan)?=00", 400),
        ("\(milan)?blSPL=18446744073709551616", 400), ("\(milan)?blSPL=00;teeSPL=00", 400), ("\(milan)?blSPL= 1", 400),
    ]

    @Test("a target that names no document is refused with its status", arguments: refused)
    func refusals(_ target: String, _ status: Int) {
        do throws(RequestRefusal) {
            let request = try KeyDistributionRequest(target: target)
            Issue.record("\(target) became \(request)")
        } catch {
            #expect(error.status == status, "\(target): \(error)")
        }
    }

    @Test("no bytes of a good target can be changed into a trap")
    func mutations() {
        var accepted = 0
        for base in [Self.milan + "?blSPL=04&teeSPL=00&snpSPL=22&ucodeSPL=213", "/vlek/v1/Turin/cert_chain"] {
            let bytes = Array(base.utf8)
            for index in bytes.indices {
                for value in [0, 0x20, 0x23, 0x25, 0x26, 0x2f, 0x30, 0x3d, 0x3f, 0x7f, 0x80, 0xff] as [UInt8] {
                    var changed = bytes
                    changed[index] = value
                    let target = String(decoding: changed, as: UTF8.self)
                    guard let request = try? KeyDistributionRequest(target: target) else { continue }
                    accepted += 1
                    #expect((try? KeyDistributionRequest(target: request.target)) == request)
                }
                _ = try? KeyDistributionRequest(target: String(decoding: bytes[..<index], as: UTF8.self))
            }
        }
        // The digits of the identifier and of the levels may become 0; hardly anything else is a target again.
        #expect(accepted > 100 && accepted < 300, "\(accepted)")
    }
}
