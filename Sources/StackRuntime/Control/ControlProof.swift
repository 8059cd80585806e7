// ControlProof: how a control port shows that it knows its token before anybody sends it that token.
import CSodium
import StackCore

/// The proof that whoever made it knows a control port's token: HMAC-SHA-256, with the token's text as the key, over
/// `strata control port` and the client's nonce. The nonce is new each time, so that a proof can't be used again.
public enum ControlProof {
  /// Where it is asked for: `GET /v1/proof?nonce=HEX`, which needs no token.
  public static let path = "/v1/proof"
  /// How many bytes a nonce has.
  public static let nonceBytes = 32

  /// The proof for a nonce, in hexadecimal digits.
  public static func make(token: String, nonce: [UInt8]) -> String {
    let key = Array(token.utf8)
    // What stands before the nonce keeps the answer from being of use anywhere else.
    let message = Array("strata control port\n".utf8) + nonce
    var state = crypto_auth_hmacsha256_state()
    var proof = [UInt8](repeating: 0, count: Int(crypto_auth_hmacsha256_bytes()))
    crypto_auth_hmacsha256_init(&state, key, key.count)
    crypto_auth_hmacsha256_update(&state, message, UInt64(message.count))
    crypto_auth_hmacsha256_final(&state, &proof)
    return hexadecimal(proof)
  }

  /// A nonce that nobody can guess.
  public static func nonce() throws(FileError) -> [UInt8] { try randomBytes(nonceBytes) }

  /// Whether an answer is the proof for a nonce; takes the same time wherever they differ.
  public static func isRight(_ answer: String, token: String, nonce: [UInt8]) -> Bool {
    let wanted = Array(make(token: token, nonce: nonce).utf8)
    let given = Array(answer.utf8)
    return wanted.count == given.count && sodium_memcmp(wanted, given, wanted.count) == 0
  }
}

extension ControlPort {
  /// Proves that this port is its node's.
  func proofRoute() -> ControlRoute {
    var route = ControlRoute(
      method: "GET", path: ControlProof.path, operation: "proof",
      summary: "Proves that this port knows the token, so that a client can find out before it sends the token. The "
        + "proof is the HMAC-SHA-256 of the text `strata control port`, a line feed and the nonce's bytes, under the "
        + "token's text. Needs no token.",
      tag: "node", needsToken: false,
      parameters: [
        (
          "nonce", "\(ControlProof.nonceBytes) random bytes as hexadecimal digits.",
          ["type": "string", "pattern": .string("^[0-9a-f]{\(ControlProof.nonceBytes * 2)}$")]
        )
      ],
      outputs: [
        ("application/json", Self.object([("proof", ["type": "string"], "The proof, in hexadecimal digits.")]))
      ],
      handle: { [unowned self] request in
        let given = request.query.filter { $0.name == "nonce" }
        guard given.count == 1, given[0].value.utf8.count == ControlProof.nonceBytes * 2,
          let nonce = [UInt8](hex: given[0].value)
        else {
          return request.answer(
            Problem(400, "bad-nonce", "expected nonce=HEX, \(ControlProof.nonceBytes * 2) hexadecimal digits"))
        }
        request.answer(json: ["proof": .string(ControlProof.make(token: self.owner.token, nonce: nonce))])
      })
    route.requiredParameters = ["nonce"]
    return route
  }
}
