// FoldingTables: what letters with marks are without them, in the scripts where that can't be reckoned.

/// One letter for each code point of a block: itself in lower case, without marks and strokes. A blank stands for a
/// code point that stays as it is or has more than one letter. Made from Unicode's canonical decompositions.
enum FoldingTables {
  /// From U+00C0 on.
  static let latin = decode(
    "aaaaaa ceeeeiiiidnooooo ouuuuy  aaaaaa ceeeeiiiidnooooo ouuuuy y"
      + "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii  jjkk llllllŀ"
      + " llnnnnnnnŋ oooooo  rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs"
      + "bɓƃ ƅ ɔƈ ɖɗƌ  ǝəɛffɠɣ ɩiƙ l ɯɲ ɵooƣ ƥ ʀƨ ʃ  ƭ ʈuuʊʋƴ zzʒƹ   ƽ   "
      + "    ǆǆ ǉǉ ǌǌ aaiioouuuuuuuuuu aaaa  ggggkkooooʒʒjǳǳ ggƕƿnnaa  oo"
      + "aaaaeeeeiiiioooorrrruuuussttȝ hhƞ ȣ ȥ aaeeooooooooyy      acclⱦ "
      + " ɂ bʉʌeejjɋ rryy"
  )
  /// From U+0370 on.
  static let greekAndCyrillic = decode(
    "ͱ ͳ ʹ ͷ       ;ϳ     ¨α·εηι ο υωιαβγδεζηθικλμνξοπρ στυφχψωιυαεηι"
      + "υ                 σ       ιυουωϗβθ ϒϒφπ ϙ ϛ ϝ ϟ ϡ ϣ ϥ ϧ ϩ ϫ ϭ ϯ "
      + "κρ  θε ϸ ϲϻ  ͻͼͽееђгєѕііјљњћкиуџабвгдежзииклмнопрстуфхцчшщъыьэюя"
      + "         и                      ее г   і    киу ѡ ѣ ѥ ѧ ѩ ѫ ѭ ѯ "
      + "ѱ ѳ ѵ ѵѵѹ ѻ ѽ ѿ ҁ         ҋ ҍ ҏ ґ ғ ҕ җ ҙ қ ҝ ҟ ҡ ң ҥ ҧ ҩ ҫ ҭ ү "
      + "ұ ҳ ҵ ҷ ҹ һ ҽ ҿ ӏжжӄ ӆ ӈ ӊ ӌ ӎ  ааааӕ ееә әәжжззӡ ииииооө өөээуу"
      + "ууууччӷ ыыӻ ӽ ӿ ԁ ԃ ԅ ԇ ԉ ԋ ԍ ԏ ԑ ԓ ԕ ԗ ԙ ԛ ԝ ԟ ԡ ԣ ԥ ԧ ԩ ԫ ԭ ԯ "
  )
  /// From U+1E00 on.
  static let additional = decode(
    "aabbbbbbccddddddddddeeeeeeeeeeffgghhhhhhhhhhiiiikkkkkkllllllllmm"
      + "mmmmnnnnnnnnoooooooopppprrrrrrrrssssssssssttttttttuuuuuuuuuuvvvv"
      + "wwwwwwwwwwxxxxyyzzzzzzhtwyas    aaaaaaaaaaaaaaaaaaaaaaaaeeeeeeee"
      + "eeeeeeeeiiiioooooooooooooooooooooooouuuuuuuuuuuuuuyyyyyyyyỻ ỽ ỿ "
      + "ααααααααααααααααεεεεεε  εεεεεε  ηηηηηηηηηηηηηηηηιιιιιιιιιιιιιιιι"
      + "οοοοοο  οοοοοο  υυυυυυυυ υ υ υ υωωωωωωωωωωωωωωωωααεεηηιιοουυωω  "
      + "ααααααααααααααααηηηηηηηηηηηηηηηηωωωωωωωωωωωωωωωωααααα ααααααα ι "
      + " ¨ηηη ηηεεηηη᾿᾿᾿ιιιι  ιιιιιι ῾῾῾υυυυρρυυυυυυρ¨¨`  ωωω ωωοοωωω´  "
  )

  /// Letters that are two without their ligature.
  static func pair(_ scalar: UInt32) -> StaticString? {
    switch scalar {
    case 0xDF, 0x1E9E: "ss"
    case 0xC6, 0xE6, 0x1E2, 0x1E3, 0x1FC, 0x1FD: "ae"
    case 0x152, 0x153: "oe"
    case 0xDE, 0xFE: "th"
    case 0x132, 0x133: "ij"
    // Small letters whose capitals stand in a table.
    case 0x268: "i"
    case 0x2C65: "a"
    case 0xFB00: "ff"
    case 0xFB01: "fi"
    case 0xFB02: "fl"
    case 0xFB03: "ffi"
    case 0xFB04: "ffl"
    case 0xFB05, 0xFB06: "st"
    default: nil
    }
  }

  /// Kana with a voicing mark, and after them, one for one, those to which the mark is added.
  static let voiced = decode("がぎぐげござじずぜぞだぢづでどばびぶべぼゔゞガギグゲゴザジズゼゾダヂヅデドバビブベボヴヷヸヹヺヾ")
  static let unvoiced = decode("かきくけこさしすせそたちつてとはひふへほうゝカキクケコサシスセソタチツテトハヒフヘホウワヰヱヲヽ")
  /// The same for the half-voiced.
  static let halfVoiced = decode("ぱぴぷぺぽパピプペポ")
  static let unhalved = decode("はひふへほハヒフヘホ")

  private static func decode(_ text: String) -> [UInt16] {
    text.unicodeScalars.map { UInt16(truncatingIfNeeded: $0.value) }
  }
}
