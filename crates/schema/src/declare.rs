//! The macros of the declarations: `table!` for a table, `record!` for a struct nested in one, `view!` for some of its
//! columns.

/// Declares a table in the current module: the row type, a module `col` with the names of its columns, and its
/// implementation of [`Table`](crate::Table). `check` names a function that checks what the types cannot express.
macro_rules! table {
    (
        $(#[doc = $about:expr])+
        pub struct $Row:ident = $name:literal version $version:literal,
        key ($($key:ident),+), check $check:path;
        $( $(#[doc = $doc:expr])+ pub $field:ident : $ty:ty, )+
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Row {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
        }

        /// The names of the table's columns.
        #[expect(non_upper_case_globals, reason = "a name reads as the column it names")]
        pub mod col {
            $( $(#[doc = $doc])+ pub const $field: &str = stringify!($field); )+
        }

        impl crate::Table for $Row {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            const KEY: &'static [&'static str] = &[$(col::$key),+];

            fn description() -> String {
                crate::column::joined(&[$($about),+])
            }

            fn fields() -> Vec<crate::Field> {
                vec![$(crate::Field::of::<$ty>(col::$field, &[$($doc),+])),+]
            }

            fn id(&self) -> String {
                [$(self.$key.to_string()),+].join("/")
            }

            fn check(&self) -> Result<(), String> {
                $check(self)
            }
        }
    };
}

/// Declares a struct that is nested in a column of a table.
macro_rules! record {
    (
        $(#[doc = $about:expr])+
        pub struct $Record:ident { $( $(#[doc = $doc:expr])+ pub $field:ident : $ty:ty, )+ }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $Record {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
        }

        impl crate::Column for $Record {
            fn data_type() -> arrow_schema::DataType {
                crate::column::record(&[
                    $(crate::Field::of::<$ty>(stringify!($field), &[$($doc),+])),+
                ])
            }
        }
    };
}

/// Declares a [`View`](crate::View): a row type with some of a table's columns.
macro_rules! view {
    (
        $(#[doc = $about:expr])+
        pub struct $View:ident of $Table:ident {
            $( $(#[doc = $doc:expr])+ pub $field:ident : $ty:ty, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $View {
            $( $(#[doc = $doc])+ pub $field: $ty, )+
        }

        impl crate::View for $View {
            type Of = $Table;

            fn columns() -> &'static [&'static str] {
                &[$(col::$field),+]
            }
        }

        impl From<$Table> for $View {
            fn from(row: $Table) -> Self {
                Self { $($field: row.$field),+ }
            }
        }
    };
}
