import Attestation
import Crypto
import SNPArchitecture
import Testing

@testable import KeyDistribution
