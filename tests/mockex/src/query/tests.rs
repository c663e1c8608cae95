use super::*;

const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

fn kind(path: &Path) -> Option<Kind> {
    match path {
        Path::Field(field) => match field.as_str() {
            "item:Subject" => Some(Kind::Text),
            "item:Size" => Some(Kind::Number),
            "message:IsRead" => Some(Kind::Flag),
            "item:DateTimeReceived" => Some(Kind::Time),
            "item:Categories" => Some(Kind::Texts),
            _ => None,
        },
        Path::Extended(path) => Some(path.kind()),
        Path::Indexed(..) => None,
    }
}

fn value(path: &Path) -> Option<Value> {
    match path {
        Path::Field(field) => match field.as_str() {
            "item:Subject" => Some(Value::Text("Letter 007 for Ana".to_owned())),
            "item:Size" => Some(Value::Number(900)),
            "message:IsRead" => Some(Value::Flag(false)),
            "item:DateTimeReceived" => Some(Value::Time("2016-03-01T08:15:30Z".parse().unwrap())),
            "item:Categories" => Some(Value::Texts(vec!["Red".to_owned(), "Blue".to_owned()])),
            _ => None,
        },
        Path::Extended(_) => Some(Value::Bytes("AbCd".to_owned())),
        Path::Indexed(..) => None,
    }
}

fn parsed(xml: &str) -> Element {
    Element::parse(&format!("<Restriction xmlns='{TYPES}'>{xml}</Restriction>")).unwrap()
}

fn holds(xml: &str) -> Result<bool, Refusal> {
    Restriction::read(Some(&parsed(xml)), &kind).map(|restriction| restriction.holds(&value))
}

fn compared(name: &str, field: &str, constant: &str) -> String {
    format!(
        "<{name}><FieldURI FieldURI='{field}'/><FieldURIOrConstant><Constant Value='{constant}'/></FieldURIOrConstant></{name}>"
    )
}

fn contains(mode: &str, comparison: &str, text: &str) -> String {
    format!(
        "<Contains ContainmentMode='{mode}' ContainmentComparison='{comparison}'><FieldURI FieldURI='item:Subject'/>\
         <Constant Value='{text}'/></Contains>"
    )
}

#[test]
fn values_are_compared_by_their_types() {
    for (name, field, constant, expected) in [
        ("IsEqualTo", "item:Subject", "LETTER 007 FOR ANA", true),
        ("IsEqualTo", "item:Subject", "letter 7 for ana", false),
        ("IsGreaterThan", "item:Size", "1000", false),
        ("IsLessThanOrEqualTo", "item:Size", "900", true),
        ("IsEqualTo", "message:IsRead", "0", true),
        ("IsEqualTo", "message:IsRead", "false", true),
        ("IsNotEqualTo", "message:IsRead", "true", true),
        ("IsEqualTo", "item:DateTimeReceived", "2016-03-01T09:15:30+01:00", true),
        ("IsEqualTo", "item:Categories", "blue", true),
        ("IsNotEqualTo", "item:Categories", "blue", false),
    ] {
        assert_eq!(holds(&compared(name, field, constant)), Ok(expected), "{name} {field} {constant}");
    }
    let binary = |text: &str| {
        format!(
            "<IsEqualTo><ExtendedFieldURI PropertyTag='0x300B' PropertyType='Binary'/><FieldURIOrConstant><Constant Value='{text}'/>\
             </FieldURIOrConstant></IsEqualTo>"
        )
    };
    assert_eq!((holds(&binary("AbCd")), holds(&binary("abcd"))), (Ok(true), Ok(false)));
}

#[test]
fn expressions_combine() {
    let (yes, no) = (compared("IsEqualTo", "item:Size", "900"), compared("IsEqualTo", "item:Size", "1"));
    assert_eq!(holds(&format!("<And>{yes}<Not>{no}</Not></And>")), Ok(true));
    assert_eq!(holds(&format!("<Or>{no}{no}</Or>")), Ok(false));
    assert_eq!(
        holds("<Excludes><FieldURI FieldURI='item:Size'/><Bitmask Value='0x4'/></Excludes>"),
        Ok(false),
        "900 has the bit"
    );
    assert_eq!(holds("<Exists><FieldURI FieldURI='item:Subject'/></Exists>"), Ok(true));
}

#[test]
fn contains_has_its_modes() {
    for (mode, comparison, text, expected) in [
        ("Substring", "IgnoreCase", "ETTER", true),
        ("Substring", "Exact", "ETTER", false),
        ("Prefixed", "Exact", "Letter", true),
        ("PrefixOnWords", "IgnoreCase", "an", true),
        ("PrefixOnWords", "IgnoreCase", "tter", false),
        ("ExactPhrase", "IgnoreCase", "for ana", true),
        ("ExactPhrase", "IgnoreCase", "for an", false),
        ("FullString", "IgnoreCase", "letter", false),
    ] {
        assert_eq!(holds(&contains(mode, comparison, text)), Ok(expected), "{mode} {comparison} {text}");
    }
}

#[test]
fn what_cannot_be_searched_is_refused_even_where_it_would_not_matter() {
    let computed = Path::Field("item:DisplayTo".to_owned());
    let no = compared("IsEqualTo", "item:Size", "1");
    let second = compared("IsEqualTo", "item:DisplayTo", "x");
    assert_eq!(holds(&format!("<And>{no}{second}</And>")), Err(Refusal::Search(computed.clone())));
    let local = "2016-03-01T08:15:30";
    let received = Path::Field("item:DateTimeReceived".to_owned());
    assert_eq!(
        holds(&compared("IsLessThan", "item:DateTimeReceived", local)),
        Err(Refusal::Constant(received)),
        "times need a zone"
    );
    let order = parsed("<FieldOrder Order='Ascending'><FieldURI FieldURI='item:DisplayTo'/></FieldOrder>");
    assert_eq!(Sorting::read(Some(&order), kind).unwrap_err(), Refusal::Sort(computed));
}

#[test]
fn pages_count_from_either_end_and_are_limited() {
    let page = |view: &str, total| Page::read(&Element::parse(&format!("<F>{view}</F>")).unwrap(), total);
    let bounds = |view: &str, total| page(view, total).map(|page| (page.start, page.end));
    let indexed = "<IndexedPageItemView MaxEntriesReturned='5000' Offset='10' BasePoint='Beginning'/>";
    assert_eq!(bounds(indexed, 5000), Some((10, 1010)));
    assert_eq!(bounds(indexed, 4), Some((4, 4)), "an offset behind the end gives an empty last page");
    assert_eq!(bounds("<IndexedPageItemView Offset='10' BasePoint='End'/>", 100), Some((90, 100)));
    assert_eq!(
        bounds("<FractionalPageItemView MaxEntriesReturned='2' Numerator='1' Denominator='2'/>", 10),
        Some((5, 7))
    );
    assert_eq!(page("<FractionalPageItemView Numerator='3' Denominator='0'/>", 10), None);
}
