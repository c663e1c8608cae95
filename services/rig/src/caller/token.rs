//! Files that hold a token, and the local token: a secret that the first role makes, for whoever can read its file.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::{Error, clock};

/// What local tokens begin with, so that searches for leaked secrets find them.
const PREFIX: &str = "postroad_local_";
/// The shortest token: 32 characters cannot be guessed.
const SHORTEST: usize = 32;
/// The longest; the same limit holds for requests.
pub const LONGEST: usize = 8192;
/// The file is read again at this distance, so that a new token needs no restart.
const FRESH: Duration = Duration::from_secs(2);

/// A file with a token, as it was when it was last read.
#[derive(Debug)]
pub struct TokenFile {
    file: PathBuf,
    known: RwLock<Known>,
}

/// What the file held.
#[derive(Debug)]
struct Known {
    token: SecretString,
    looked_at: Instant,
    /// The file for which it was told that everybody can read it.
    told: Option<Exposed>,
}

/// A file that everybody can read, by what changes when it is replaced or its mode is set: inode and time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exposed(u64, i64, i64);

impl TokenFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or holds no token.
    pub fn open(setting: &str, file: &Path) -> Result<Self, Error> {
        let mut told = None;
        let token = read(setting, file, &mut told)?;
        let known = Known { token, looked_at: clock::instant(), told };
        Ok(Self { file: file.to_owned(), known: RwLock::new(known) })
    }

    /// Reads the local token; where there is none, it is made, readable by this user only. Of several roles that start at the
    /// same time one makes it, and all have the same.
    ///
    /// # Errors
    /// It can be neither read nor made.
    pub fn open_or_make(setting: &str, file: &Path) -> Result<Self, Error> {
        make(file).map_err(|error| {
            Error::Configuration(format!("{setting} = \"{}\" cannot be made: {error}", file.display()))
        })?;
        Self::open(setting, file)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// The token; read again from time to time.
    pub fn token(&self) -> SecretString {
        self.refresh(clock::instant());
        self.known.read().unwrap_or_else(PoisonError::into_inner).token.clone()
    }

    /// Whether this is the token.
    pub fn is(&self, presented: &str) -> bool {
        self.refresh(clock::instant());
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        verify_slices_are_equal(known.token.expose_secret().as_bytes(), presented.as_bytes()).is_ok()
    }

    /// What cannot be read any more stays as it was.
    fn refresh(&self, now: Instant) {
        let stale = |at: Instant| now.saturating_duration_since(at) >= FRESH;
        if !stale(self.known.read().unwrap_or_else(PoisonError::into_inner).looked_at) {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if stale(known.looked_at) {
            known.looked_at = now;
            if let Ok(token) = read("token", &self.file, &mut known.told) {
                known.token = token;
            }
        }
    }
}

/// Reads a token; tells once of each file that everybody can read.
fn read(setting: &str, file: &Path, told: &mut Option<Exposed>) -> Result<SecretString, Error> {
    let wrong = |rule: String| Error::Configuration(format!("{setting} = \"{}\" {rule}", file.display()));
    let cannot = |error: io::Error| wrong(format!("cannot be read: {error}"));
    let metadata = fs::metadata(file).map_err(cannot)?;
    if metadata.len() > LONGEST as u64 + 2 {
        return Err(wrong(format!("holds more than the {LONGEST} characters that a token may have")));
    }
    let exposed = Exposed(metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
    let exposed = (metadata.mode() & 0o007 != 0).then_some(exposed);
    let before = std::mem::replace(told, exposed);
    if exposed.is_some() && before != exposed {
        tracing::warn!(file = %file.display(), "everybody on this machine can read this token: chmod o= FILE");
    }
    let text = SecretString::from(fs::read_to_string(file).map_err(cannot)?);
    let token = text.expose_secret().trim();
    // What it holds is not shown: it could be another secret.
    if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(format!("does not hold a token: one word of at least {SHORTEST} visible ASCII characters")));
    }
    Ok(SecretString::from(token))
}

fn make(file: &Path) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Linked into its place when it is complete: nobody ever reads half of it, and the first one wins.
    let draft = folder.join(format!(".token-{}", Uuid::new_v4().simple()));
    let written = write(&draft).and_then(|()| match fs::hard_link(&draft, file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

fn write(file: &Path) -> io::Result<()> {
    let secret = SecretString::from(format!("{PREFIX}{}\n", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())));
    let mut draft = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    draft.write_all(secret.expose_secret().as_bytes())?;
    draft.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTING: &str = "access.token_file";

    #[test]
    fn the_first_one_makes_it_for_this_user_only_and_all_have_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/postroad/token");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let each = || TokenFile::open_or_make(SETTING, &file).unwrap().token().expose_secret().to_owned();
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(each)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(tokens[0].starts_with(PREFIX) && tokens.iter().all(|token| *token == tokens[0]));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let made = TokenFile::open_or_make(SETTING, &folder.path().join("token")).unwrap();
        let token = made.token().expose_secret().to_owned();
        assert!(made.is(&token));
        for wrong in ["", &token[1..], &token[..token.len() - 1], &format!("{token} "), &token.to_uppercase()] {
            assert!(!made.is(wrong), "{wrong}");
        }
        assert!(!format!("{made:?}").contains(&token));
    }

    #[test]
    fn a_new_token_needs_no_restart_and_a_lost_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let made = TokenFile::open_or_make(SETTING, &file).unwrap();
        let later = |times: u32| clock::instant() + FRESH * times;
        fs::remove_file(&file).unwrap();
        let other = TokenFile::open_or_make(SETTING, &file).unwrap().token();
        assert!(!made.is(other.expose_secret()));
        made.refresh(later(1));
        assert!(made.is(other.expose_secret()));
        for text in [None, Some("short")] {
            text.map_or_else(|| fs::remove_file(&file), |text| fs::write(&file, text)).unwrap();
            made.refresh(later(3));
            assert!(made.is(other.expose_secret()));
        }
    }

    /// Counts what is told.
    struct Told(std::sync::Arc<std::sync::atomic::AtomicU32>);

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Told {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            let is_warning = *event.metadata().level() == tracing::Level::WARN;
            self.0.fetch_add(u32::from(is_warning), std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_told_once_until_it_changes() {
        use std::{os::unix::fs::PermissionsExt as _, sync::atomic::Ordering};
        use tracing_subscriber::layer::SubscriberExt as _;
        let told = std::sync::Arc::<std::sync::atomic::AtomicU32>::default();
        let subscriber = tracing_subscriber::registry().with(Told(std::sync::Arc::clone(&told)));
        let _guard = tracing::subscriber::set_default(subscriber);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let made = TokenFile::open_or_make(SETTING, &file).unwrap();
        let mut looks = 0;
        let mut looked = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            for _ in 0..5 {
                looks += 1;
                made.refresh(clock::instant() + FRESH * looks);
            }
            told.load(Ordering::Relaxed)
        };
        assert_eq!((looked(0o600), looked(0o604), looked(0o600), looked(0o604)), (0, 1, 1, 2));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for text in ["", "short", "a password with spaces that is longer than thirty-two", &"x".repeat(LONGEST + 3)] {
            fs::write(&file, text).unwrap();
            let error = TokenFile::open_or_make(SETTING, &file).unwrap_err().to_string();
            assert!(error.starts_with("access.token_file = ") && (text.is_empty() || !error.contains(text)), "{error}");
        }
        let error = TokenFile::open(SETTING, &folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
