//! Writes the texts that the parsers are made for into `corpus/TARGET/`, where cargo-fuzz begins.

fn main() -> std::io::Result<()> {
    for target in parsers::TARGETS {
        let folder = std::path::Path::new("corpus").join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
