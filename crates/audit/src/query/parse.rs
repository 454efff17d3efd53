//! Tokens to a query.

use super::columns::Column;
use super::error::QueryError;
use super::lex::{Token, TokenKind, lex};
use super::value::Value;

/// How deep conditions may nest.
const DEPTH: usize = 32;
/// Conditions that one AND or OR may join.
const WIDTH: usize = 64;
/// Items of one list (`SELECT`, `GROUP BY`, `ORDER BY`, `IN`).
const ITEMS: usize = 1000;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) condition: Option<Expr>,
    pub(crate) groups: Vec<Expr>,
    pub(crate) having: Option<Expr>,
    pub(crate) order: Vec<(Expr, bool)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// One column of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) expr: Expr,
    pub(crate) name: String,
}

/// Something that has a value in a row or in a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Column(Column),
    Literal(Value),
    Call(Function, Vec<Expr>),
    Aggregate(Aggregate),
    /// The name of an item, in GROUP BY and ORDER BY; the plan puts the item in its place.
    Named(String),
    /// Placed by the plan: the result of an aggregate, or a value that is grouped by.
    Slot(Slot),
    Not(Box<Expr>),
    Both(Box<Expr>, Box<Expr>),
    Either(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Like(Box<Expr>, String),
    IsNull(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Group(usize),
    Aggregate(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Lower,
    Upper,
    Substr,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) kind: AggregateKind,
    /// Nothing in `count(*)`.
    pub(crate) of: Option<Box<Expr>>,
    pub(crate) distinct: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateKind {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

/// Reads a query.
///
/// # Errors
/// [`QueryError::Syntax`] with the place and what could stand there; [`QueryError::Meaning`] for a column or
/// table that there is not.
pub(crate) fn parse(text: &str) -> Result<Query, QueryError> {
    let mut parser = Parser { tokens: lex(text)?, at: 0, chars: text.chars().collect(), depth: 0 };
    let query = parser.query()?;
    parser.mark(";");
    match parser.kind() {
        TokenKind::End => Ok(query),
        _ => Err(parser.unexpected("WHERE, GROUP BY, ORDER BY, LIMIT or the end")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    chars: Vec<char>,
    depth: usize,
}

const KEYWORDS: [&str; 21] = [
    "select", "distinct", "from", "where", "group", "by", "having", "order", "limit", "offset",
    "as", "and", "or", "not", "in", "like", "between", "is", "null", "asc", "desc",
];

impl Parser {
    fn kind(&self) -> &TokenKind {
        self.tokens.get(self.at).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn position(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.position)
    }

    fn unexpected(&self, wanted: &str) -> QueryError {
        let what = format!("found {}, expected {wanted}", self.kind());
        QueryError::Syntax { position: self.position(), what }
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.kind(), TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let is = self.is_keyword(keyword);
        self.at += usize::from(is);
        is
    }

    fn expect_keyword(&mut self, keyword: &str) -> Result<(), QueryError> {
        let upper = keyword.to_ascii_uppercase();
        if self.keyword(keyword) { Ok(()) } else { Err(self.unexpected(&upper)) }
    }

    fn mark(&mut self, mark: &str) -> bool {
        let is = matches!(self.kind(), TokenKind::Mark(it) if *it == mark);
        self.at += usize::from(is);
        is
    }

    fn expect_mark(&mut self, mark: &str) -> Result<(), QueryError> {
        if self.mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn query(&mut self) -> Result<Query, QueryError> {
        self.expect_keyword("select")?;
        let distinct = self.keyword("distinct");
        let items = self.items()?;
        self.expect_keyword("from")?;
        self.table()?;
        let condition = if self.keyword("where") { Some(self.expr()?) } else { None };
        let mut groups = Vec::new();
        if self.keyword("group") {
            self.expect_keyword("by")?;
            groups = self.list(Self::named)?;
        }
        let having = if self.keyword("having") { Some(self.expr()?) } else { None };
        let mut order = Vec::new();
        if self.keyword("order") {
            self.expect_keyword("by")?;
            order = self.list(Self::order_item)?;
        }
        let limit = if self.keyword("limit") { Some(self.count()?) } else { None };
        let offset = if self.keyword("offset") { self.count()? } else { 0 };
        let mut query = Query { distinct, items, condition, groups, having, order, limit, offset };
        query.name_items();
        Ok(query)
    }

    fn table(&mut self) -> Result<(), QueryError> {
        match self.kind() {
            TokenKind::Word(name) | TokenKind::Name(name)
                if name.eq_ignore_ascii_case("events") =>
            {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.unexpected("the table `events`")),
        }
    }

    fn list<T>(
        &mut self,
        one: impl Fn(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        let mut all = vec![one(self)?];
        while self.mark(",") {
            if all.len() >= ITEMS {
                return Err(QueryError::TooMuch("items in a list"));
            }
            all.push(one(self)?);
        }
        Ok(all)
    }

    fn items(&mut self) -> Result<Vec<Item>, QueryError> {
        if self.mark("*") {
            let item = |column: Column| Item {
                expr: Expr::Column(column),
                name: column.name().to_owned(),
            };
            return Ok(Column::all().map(item).collect());
        }
        self.list(Self::item)
    }

    fn item(&mut self) -> Result<Item, QueryError> {
        let from = self.position();
        let expr = self.expr()?;
        let to = self.position();
        let written = self.chars.get(from.saturating_sub(1)..to.saturating_sub(1));
        let mut name: String = written.unwrap_or_default().iter().collect::<String>();
        name = name.trim().to_ascii_lowercase();
        if let Expr::Column(column) = &expr {
            name = column.name().to_owned();
        }
        let explicit = self.keyword("as");
        match self.kind().clone() {
            TokenKind::Name(alias) => {
                self.at += 1;
                name = alias;
            }
            TokenKind::Word(alias) if explicit || !is_keyword(&alias) => {
                self.at += 1;
                name = alias;
            }
            _ if explicit => return Err(self.unexpected("a name")),
            _ => {}
        }
        Ok(Item { expr, name })
    }

    fn order_item(&mut self) -> Result<(Expr, bool), QueryError> {
        let expr = self.named()?;
        let descending = self.keyword("desc");
        if !descending {
            self.keyword("asc");
        }
        Ok((expr, descending))
    }

    /// An expression, or a name that is no column: it may be given to an item of the answer.
    fn named(&mut self) -> Result<Expr, QueryError> {
        let alias = match self.kind() {
            TokenKind::Name(name) => Some(name.clone()),
            TokenKind::Word(word) if Column::find(word).is_none() => Some(word.clone()),
            _ => None,
        };
        let call = matches!(
            self.tokens.get(self.at + 1).map(|token| &token.kind),
            Some(TokenKind::Mark("("))
        );
        match alias {
            Some(name) if !call && !is_keyword(&name) => {
                self.at += 1;
                Ok(Expr::Named(name))
            }
            _ => self.expr(),
        }
    }

    fn count(&mut self) -> Result<usize, QueryError> {
        match self.kind() {
            TokenKind::Int(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                self.at += 1;
                Ok(count)
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn expr(&mut self) -> Result<Expr, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(QueryError::TooMuch("nested conditions"));
        }
        let mut left = self.both()?;
        let mut width = 0;
        while self.keyword("or") {
            width += 1;
            if width > WIDTH {
                return Err(QueryError::TooMuch("conditions joined by OR (use IN)"));
            }
            left = Expr::Either(Box::new(left), Box::new(self.both()?));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn both(&mut self) -> Result<Expr, QueryError> {
        let mut left = self.not()?;
        let mut width = 0;
        while self.keyword("and") {
            width += 1;
            if width > WIDTH {
                return Err(QueryError::TooMuch("conditions joined by AND"));
            }
            left = Expr::Both(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, QueryError> {
        let mut negated = false;
        while self.keyword("not") {
            negated = !negated;
        }
        let inner = self.comparison()?;
        Ok(if negated { Expr::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Result<Expr, QueryError> {
        let left = self.primary()?;
        if self.keyword("is") {
            let negated = self.keyword("not");
            self.expect_keyword("null")?;
            return Ok(negate(Expr::IsNull(Box::new(left)), negated));
        }
        let negated = self.keyword("not");
        if self.keyword("in") {
            self.expect_mark("(")?;
            let list = self.list(Self::primary)?;
            self.expect_mark(")")?;
            return Ok(negate(Expr::In(Box::new(left), list), negated));
        }
        if self.keyword("like") {
            let TokenKind::Text(pattern) = self.kind().clone() else {
                return Err(self.unexpected("a pattern in single quotes, such as 'a%'"));
            };
            self.at += 1;
            return Ok(negate(Expr::Like(Box::new(left), pattern), negated));
        }
        if self.keyword("between") {
            let from = self.primary()?;
            self.expect_keyword("and")?;
            let to = self.primary()?;
            let low = compare(Comparison::GreaterOrEqual, left.clone(), from);
            let high = compare(Comparison::LessOrEqual, left, to);
            return Ok(negate(Expr::Both(Box::new(low), Box::new(high)), negated));
        }
        if negated {
            return Err(self.unexpected("IN, LIKE or BETWEEN"));
        }
        const COMPARISONS: [(&str, Comparison); 7] = [
            ("=", Comparison::Equal),
            ("!=", Comparison::Unequal),
            ("<>", Comparison::Unequal),
            ("<", Comparison::Less),
            ("<=", Comparison::LessOrEqual),
            (">", Comparison::Greater),
            (">=", Comparison::GreaterOrEqual),
        ];
        match COMPARISONS.into_iter().find(|(mark, _)| self.mark(mark)) {
            Some((_, comparison)) => Ok(compare(comparison, left, self.primary()?)),
            None => Ok(left),
        }
    }

    fn primary(&mut self) -> Result<Expr, QueryError> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(QueryError::TooMuch("nested conditions"));
        }
        let inner = self.primary_here();
        self.depth -= 1;
        inner
    }

    fn primary_here(&mut self) -> Result<Expr, QueryError> {
        if self.mark("(") {
            let inner = self.expr()?;
            self.expect_mark(")")?;
            return Ok(inner);
        }
        let negative = self.mark("-");
        let kind = self.kind().clone();
        let position = self.position();
        let literal = match &kind {
            TokenKind::Int(number) => Value::Int(if negative { -number } else { *number }),
            TokenKind::Float(number) => Value::Float(if negative { -number } else { *number }),
            _ if negative => return Err(self.unexpected("a number")),
            TokenKind::Text(text) => Value::Text(text.clone()),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("null") => Value::Null,
            TokenKind::Word(word) if is_keyword(word) => {
                return Err(self.unexpected("a column or value"));
            }
            TokenKind::Word(name) => {
                self.at += 1;
                return if self.mark("(") {
                    self.call(name, position)
                } else {
                    column(name, position)
                };
            }
            TokenKind::Name(name) => {
                self.at += 1;
                return column(name, position);
            }
            TokenKind::Mark(_) | TokenKind::End => return Err(self.unexpected("a column or value")),
        };
        self.at += 1;
        Ok(Expr::Literal(literal))
    }

    fn call(&mut self, name: &str, position: usize) -> Result<Expr, QueryError> {
        let name = name.to_ascii_lowercase();
        let kind = match name.as_str() {
            "count" => Some(AggregateKind::Count),
            "sum" => Some(AggregateKind::Sum),
            "min" => Some(AggregateKind::Min),
            "max" => Some(AggregateKind::Max),
            "avg" => Some(AggregateKind::Avg),
            _ => None,
        };
        if let Some(kind) = kind {
            return self.aggregate(kind);
        }
        let (function, arguments) = match name.as_str() {
            "lower" => (Function::Lower, 1..=1),
            "upper" => (Function::Upper, 1..=1),
            "substr" | "substring" => (Function::Substr, 2..=3),
            _ => {
                let known = "count, sum, min, max, avg, lower, upper and substr";
                let what = format!("there is no function `{name}`; there are {known}");
                return Err(QueryError::Syntax { position, what });
            }
        };
        let given = self.list(Self::primary)?;
        self.expect_mark(")")?;
        if !arguments.contains(&given.len()) {
            let what = format!("{name} takes {} to {} values", arguments.start(), arguments.end());
            return Err(QueryError::Syntax { position, what });
        }
        Ok(Expr::Call(function, given))
    }

    fn aggregate(&mut self, kind: AggregateKind) -> Result<Expr, QueryError> {
        if kind == AggregateKind::Count && self.mark("*") {
            self.expect_mark(")")?;
            return Ok(Expr::Aggregate(Aggregate { kind, of: None, distinct: false }));
        }
        let distinct = self.keyword("distinct");
        let of = Some(Box::new(self.primary()?));
        self.expect_mark(")")?;
        Ok(Expr::Aggregate(Aggregate { kind, of, distinct }))
    }
}

impl Query {
    /// Two items of one name would hide each other.
    fn name_items(&mut self) {
        let mut seen = std::collections::HashMap::new();
        for item in &mut self.items {
            let times: &mut usize = seen.entry(item.name.clone()).or_default();
            *times += 1;
            if *times > 1 {
                item.name = format!("{}_{times}", item.name);
            }
        }
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|it| it.eq_ignore_ascii_case(word))
}

fn column(name: &str, position: usize) -> Result<Expr, QueryError> {
    Column::find(name).map(Expr::Column).ok_or_else(|| {
        let known = super::columns::COLUMNS.join(", ");
        let what = format!(
            "there is no column `{name}`; there are {known} (text stands in single quotes)"
        );
        QueryError::Syntax { position, what }
    })
}

fn compare(comparison: Comparison, left: Expr, right: Expr) -> Expr {
    Expr::Compare(comparison, Box::new(left), Box::new(right))
}

fn negate(expr: Expr, negated: bool) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
