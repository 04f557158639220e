import { Link } from 'react-router'
import { useTexts } from '../../texts'

export function Cancel() {
  const t = useTexts()

  return (
    <p>
      <Link to="/account">{t.cancel}</Link>
    </p>
  )
}
